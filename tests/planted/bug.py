"""What a planted bug is, and how it gets into the product: while a module is imported, a few of its words are replaced. No file
changes, and nothing of it is kept: the next process has the product as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
QUERIES = "storage/queries/"
READER = "storage/transaction.py"  # the module that reads them
PLANTED = "PLANTED_BUG"  # names the bug to the processes that are to have it


class NoPlace(LookupError):
    """The product no longer reads as the bug says: write the bug anew."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file` (Python or SQL, from the root), `new` stands where `old` stood, which must be there exactly once."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        if (count := text.count(self.old)) != 1:
            raise NoPlace(f"{self.file} says this {count} times: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """`what` is wrong, as people would notice it; `whose`: in what kind of program it was seen; `found_by`: tests by pytest's
    names, each of which must fail."""

    name: str
    what: str
    whose: str
    edits: tuple[Edit, ...]
    found_by: tuple[str, ...]


def edited(edits: Sequence[Edit], file: str) -> str:
    """The text of the file with the edits that are about it. Raises NoPlace."""
    text = (ROOT / file).read_text("utf-8")
    for edit in edits:
        if edit.file == file:
            text = edit.apply(text)
    return text


def plant(bug: Bug) -> None:
    """To be called before anything of the product is imported. Raises NoPlace."""
    for file in {edit.file for edit in bug.edits}:
        edited(bug.edits, file)
    sys.meta_path.insert(0, _Finder(bug.edits))


def plant_named() -> None:
    """The bug that the environment names, if it names one."""
    from tests.planted.catalog import BUGS

    if name := os.environ.get(PLANTED):
        plant(BUGS[name])


class _Finder(MetaPathFinder):
    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._files = {edit.file for edit in edits}
        if any(file.startswith(QUERIES) for file in self._files):
            self._files.add(READER)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = fullname.replace(".", "/") + ".py"
        spec = PathFinder.find_spec(fullname, path, target) if file in self._files else None
        if spec is not None:
            spec.loader = _Loader(fullname, file, self._edits)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, file: str, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, str(ROOT / file))
        self._file, self._edits = file, edits

    def get_code(self, fullname: str) -> CodeType:
        """Neither read from nor written to the cache of compiled modules."""
        return compile(edited(self._edits, self._file), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if self._file == READER:
            module.__dict__["statements"] = self._reading(module.__dict__["statements"])

    def _reading(self, read: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
        """The modules of the store read their statements by this function while they are imported."""

        def read_edited(file: str) -> dict[str, Any]:
            found = read(file)
            for edit in self._edits:
                if edit.file == QUERIES + file:
                    found = {name: replace(one, sql=one.sql.replace(edit.old, edit.new)) for name, one in found.items()}
            return found

        return read_edited
