"""A disk that can fail and remembers: SQLite's own VFS, wrapped, for the very library that Python's sqlite3 runs on.

Whatever SQLite opens in the directory of a `Disk` while `wrapped()` lasts goes through here: every read, write, sync,
truncation and deletion is counted, may be made to fail, and is remembered if wanted. Done by ctypes: no compiler, no tracer and
no second SQLite is needed, and what is tested is what is shipped. Nothing here knows the bot.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, addressof, byref, c_char_p, c_int, c_int64, c_void_p, cast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["read", "write", "sync", "truncate", "delete", "open", "share"]
KINDS: tuple[Kind, ...] = ("read", "write", "sync", "truncate", "delete", "open", "share")

SECTOR = 512  # bytes that reach a disk together

# sqlite.org/rescode.html
OK, FULL = 0, 13
_CODES: dict[Kind, int] = {
    "read": 10 | 1 << 8, "write": 10 | 3 << 8, "sync": 10 | 4 << 8, "truncate": 10 | 6 << 8, "delete": 10 | 10 << 8,
    "open": 14, "share": 10 | 21 << 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """The operation of this kind with this number, counted from 1, fails, and all that follow for so many seconds. `full`: no
    space left, instead of an I/O error; `short`: half of a write reaches the disk before."""

    kind: Kind
    number: int
    seconds: float = 0.0
    full: bool = False
    short: bool = False


@dataclass(frozen=True, slots=True)
class Wrote:
    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    file: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """`durably`: the directory was synced."""

    file: str
    durably: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """A note of whoever looks on."""

    text: str


Deed = Wrote | Truncated | Synced | Deleted | Noted


@dataclass(slots=True)
class Disk:
    """What happens in one directory. `done` counts the operations; with `recording`, `deeds` are those that change it."""

    directory: Path
    recording: bool = False
    fault: Fault | None = None
    done: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    heals: float = float("inf")  # when the fault is over, by the monotonic clock
    deeds: list[Deed] = field(default_factory=list)

    def failing(self, kind: Kind) -> Fault | None:
        """Counts one operation more; the fault that it meets."""
        self.done[kind] += 1
        fault = self.fault
        if fault is None or fault.kind != kind or self.done[kind] < fault.number:
            return None
        if not self.failed:
            self.heals = time.monotonic() + fault.seconds
        elif time.monotonic() >= self.heals:
            return None
        self.failed += 1
        return fault

    def remember(self, deed: Deed) -> None:
        if self.recording:
            self.deeds.append(deed)


# --- SQLite's structures, sqlite3.h ------------------------------------------------------------------------------------------

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_MOVE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)  # xRead and xWrite
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_SHARE = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)


class _Vfs(Structure):
    _fields_ = (
        ("version", c_int), ("file_size", c_int), ("longest_path", c_int), ("next", c_void_p), ("name", c_char_p),
        ("data", c_void_p), ("open", c_void_p), ("delete", c_void_p), ("rest", c_void_p * 14),
    )  # fmt: skip


class _Methods(Structure):
    _fields_ = (
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", c_void_p), ("truncate", c_void_p),
        ("sync", c_void_p), ("rest1", c_void_p * 7), ("share", c_void_p), ("rest2", c_void_p * 5),
    )  # fmt: skip


def _library() -> ctypes.CDLL | None:
    """The SQLite that Python's sqlite3 uses; None where it is built in and hidden."""
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        version = library.sqlite3_libversion
        library.sqlite3_vfs_register  # noqa: B018  # only to see whether it is there
    except (AttributeError, OSError):
        return None
    version.restype = c_char_p
    return library if version() == sqlite3.sqlite_version.encode() else None


_SQLITE = _library()
MISSING = "" if _SQLITE else "the functions of this Python's SQLite cannot be reached"


# --- the wrapper -------------------------------------------------------------------------------------------------------------


class _File:
    """An open file: whose disk it is on, and how it is really read and written."""

    def __init__(self, disk: Disk, path: str, real: _Methods) -> None:
        self.disk = disk
        self.name = Path(path).name
        self.close = _CLOSE(real.close)
        self.read = _MOVE(real.read)
        self.write = _MOVE(real.write)
        self.truncate = _TRUNCATE(real.truncate)
        self.sync = _SYNC(real.sync)
        self.share = _SHARE(real.share) if real.share else None


class _Wrapper:
    """The VFS as SQLite knows it. Made once and kept for ever: connections may outlive any context."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.sqlite3_vfs_find.restype = c_void_p
        library.sqlite3_vfs_find.argtypes = [c_char_p]
        library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
        self._library = library
        self._real: int = library.sqlite3_vfs_find(None)
        real = _Vfs.from_address(self._real)
        self._really_open, self._really_delete = _OPEN(real.open), _DELETE(real.delete)
        self._callbacks = (_OPEN(self._open), _DELETE(self._delete))
        self._methods_callbacks: tuple[Any, ...] = (
            _CLOSE(self._close), _MOVE(self._read), _MOVE(self._write), _TRUNCATE(self._truncate), _SYNC(self._sync),
            _SHARE(self._share),
        )  # fmt: skip
        self._vfs = _Vfs.from_buffer_copy(real)
        self._vfs.name = b"torture"
        self._vfs.next = None
        self._vfs.open, self._vfs.delete = (cast(callback, c_void_p).value for callback in self._callbacks)
        self._methods: dict[int, _Methods] = {}  # the real ones' address → ours
        self._files: dict[int, _File] = {}
        self.disks: dict[str, Disk] = {}

    def register(self) -> None:
        self._library.sqlite3_vfs_register(byref(self._vfs), 1)

    def step_back(self) -> None:
        self._library.sqlite3_vfs_register(self._real, 1)

    def _open(self, vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
        path = ctypes.string_at(name).decode() if name else ""
        disk = self.disks.get(str(Path(path).parent)) if path else None
        if disk and disk.failing("open"):
            c_void_p.from_address(file).value = None  # no methods: SQLite must not close it
            return _CODES["open"]
        code: int = self._really_open(self._real, name, file, flags, out)
        if code == OK and disk:
            place = c_void_p.from_address(file)
            assert place.value is not None
            real = _Methods.from_address(place.value)
            self._files[file] = _File(disk, path, real)
            place.value = addressof(self._methods_like(place.value, real))
        return code

    def _methods_like(self, address: int, real: _Methods) -> _Methods:
        if address not in self._methods:
            made = _Methods()
            length = ctypes.sizeof(_Methods) if real.version >= 3 else _Methods.rest2.offset + 24
            ctypes.memmove(byref(made), byref(real), length)
            names = ("close", "read", "write", "truncate", "sync", "share")
            for name, callback in zip(names, self._methods_callbacks, strict=True):
                if getattr(real, name):
                    setattr(made, name, cast(callback, c_void_p).value)
            self._methods[address] = made
        return self._methods[address]

    def _delete(self, vfs: int, name: bytes, durably: int) -> int:
        path = Path(name.decode())
        disk = self.disks.get(str(path.parent))
        if disk and disk.failing("delete"):
            return _CODES["delete"]
        code: int = self._really_delete(self._real, name, durably)
        if disk and code == OK:
            disk.remember(Deleted(path.name, bool(durably)))
        return code

    def _close(self, file: int) -> int:
        code: int = self._files.pop(file).close(file)
        return code

    def _read(self, file: int, buffer: int, amount: int, offset: int) -> int:
        known = self._files[file]
        if known.disk.failing("read"):
            return _CODES["read"]
        code: int = known.read(file, buffer, amount, offset)
        return code

    def _write(self, file: int, buffer: int, amount: int, offset: int) -> int:
        known = self._files[file]
        fault = known.disk.failing("write")
        if fault and fault.short:
            amount //= 2
        if not fault or fault.short:
            code: int = known.write(file, buffer, amount, offset)
            if known.disk.recording:
                known.disk.remember(Wrote(known.name, offset, ctypes.string_at(buffer, amount)))
            if not fault:
                return code
        return FULL if fault.full else _CODES["write"]

    def _truncate(self, file: int, size: int) -> int:
        known = self._files[file]
        if known.disk.failing("truncate"):
            return _CODES["truncate"]
        code: int = known.truncate(file, size)
        known.disk.remember(Truncated(known.name, size))
        return code

    def _sync(self, file: int, flags: int) -> int:
        known = self._files[file]
        if known.disk.failing("sync"):
            return _CODES["sync"]
        code: int = known.sync(file, flags)
        known.disk.remember(Synced(known.name))
        return code

    def _share(self, file: int, region: int, size: int, extend: int, out: int) -> int:
        known = self._files[file]
        if known.disk.failing("share"):
            return _CODES["share"]
        assert known.share is not None
        code: int = known.share(file, region, size, extend, out)
        return code


_wrapper: list[_Wrapper] = []  # one, from its first use on


@contextmanager
def wrapped(*disks: Disk) -> Iterator[Callable[[Disk], None]]:
    """While it lasts, what is opened in the directories of these disks goes through them; more can be added. What was opened
    before stays as it was, what was opened meanwhile keeps its disk."""
    assert _SQLITE is not None, MISSING
    if not _wrapper:
        _wrapper.append(_Wrapper(_SQLITE))
    wrapper = _wrapper[0]

    def add(disk: Disk) -> None:
        wrapper.disks[str(disk.directory.absolute())] = disk

    for disk in disks:
        add(disk)
    wrapper.register()
    try:
        yield add
    finally:
        wrapper.step_back()
        wrapper.disks.clear()
