"""Pictures, videos and sound, named by their content: what people sent, made fit for a model, and what models made. On disk,
and where several processes share a store, in it as well.

Pillow is imported when the first picture comes: most chats never send one.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import StorageError, TooLarge, Unreadable
from bot.insist import insist
from bot.phrases import NO_PICTURE, PICTURE_TOO_LARGE
from bot.ports import SharedFiles

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

MOST_PIXELS = 40_000_000  # of a picture that we are willing to unpack: about 160 MB
LONGEST_SIDE = 2048  # pixels: both vendors scale down what is larger
SMALLEST_SIDE = 10  # pixels: below, both vendors refuse
QUALITY = 88  # of the JPEG that a photo becomes
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # Pillow knows many more, EPS by way of a program that it starts

SUFFIXES = {
    **{"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"},
    **{"audio/ogg": "ogg", "audio/wav": "wav", "audio/mpeg": "mp3", "audio/flac": "flac", "video/mp4": "mp4"},
}
NAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|webp|gif|ogg|wav|mp3|flac|mp4|bin)")


class Folder:
    """A directory of them. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        there = self.path.iterdir() if self.path.is_dir() else ()
        return sorted(path.name for path in there if NAME.fullmatch(path.name))

    def read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all, also when the power goes. One that is there stays."""
        path = self.path / name
        if path.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self.path, delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)


class FileStore:
    """ports.Files over one directory. With `shared`, where all processes of a store find them, it is a cache of that."""

    def __init__(self, directory: Path, shared: SharedFiles | None = None) -> None:
        self._folder = Folder(directory)
        self._shared = shared
        self._unpacking = asyncio.Semaphore(1)  # ten harmless pictures at once take more memory than a small server has
        self._travelling = asyncio.Semaphore(2)  # to and from the shared store: other commits wait for a large one

    async def keep(self, data: bytes, mime: str) -> str:
        name = _name(data, mime)
        if self._shared is None:
            await self._keep(name, data)
        else:
            await insist(partial(self._keep, name, data))
        return name

    async def keep_picture(self, data: bytes) -> str:
        async with self._unpacking:
            fit, mime = await asyncio.to_thread(fit_for_models, data)
        name = _name(fit, mime)
        await self._keep(name, fit)
        return name

    async def picture_size(self, name: str) -> tuple[int, int]:
        data = await self.load(name)
        return await asyncio.to_thread(size_of, data)

    async def resized(self, name: str, width: int, height: int) -> str:
        data = await self.load(name)
        async with self._unpacking:
            changed, mime = await asyncio.to_thread(resized, data, width, height)
        name = _name(changed, mime)
        await self._keep(name, changed)
        return name

    async def load(self, name: str) -> bytes:
        if not NAME.fullmatch(name):
            raise Unreadable(f"{name!r} names no kept file")
        try:
            data, why = await asyncio.to_thread(self._folder.read, name), "there is none"
        except OSError as error:
            data, why = None, str(error.strerror)
        if data is None and self._shared is not None:
            async with self._travelling:
                data = await self._shared.load_file(name)
            if data is not None:
                await self._cache(name, data)
        if data is None:
            raise Unreadable(f"the file {name} is gone: {why}")
        return data

    async def _keep(self, name: str, data: bytes) -> None:
        """Raises StorageError."""
        if self._shared is not None:
            async with self._travelling:
                await self._shared.keep_file(name, data)
            await self._cache(name, data)
            return
        try:
            await asyncio.to_thread(self._folder.write, name, data)
        except OSError as error:
            raise StorageError(f"cannot keep a file: {error.strerror}") from error

    async def _cache(self, name: str, data: bytes) -> None:
        try:
            await asyncio.to_thread(self._folder.write, name, data)
        except OSError as error:
            log.warning("Files cannot be kept in %s, and are fetched each time: %s", self._folder.path, error.strerror)


def _name(data: bytes, mime: str) -> str:
    return f"{hashlib.sha256(data).hexdigest()[:32]}.{SUFFIXES.get(mime, 'bin')}"


def fit_for_models(data: bytes) -> tuple[bytes, str]:
    """A picture as the vendors take it, and its MIME type: upright, at most 2048 px a side, PNG when it has transparency,
    else JPEG. Raises TooLarge, Unreadable."""
    from PIL import ImageOps, UnidentifiedImageError

    with _opened(data) as picture:
        if min(picture.size) < SMALLEST_SIDE:
            raise UnidentifiedImageError("too small")
        picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))  # before anything that copies it
        return _written(ImageOps.exif_transpose(picture))


def size_of(data: bytes) -> tuple[int, int]:
    """Raises TooLarge, Unreadable."""
    with _opened(data) as picture:
        return picture.size


def resized(data: bytes, width: int, height: int) -> tuple[bytes, str]:
    """As `fit_for_models`, but so large. Raises TooLarge, Unreadable."""
    with _opened(data) as picture:
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        return _written(picture.convert(mode).resize((width, height)))


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Nothing is unpacked before its size is known to be harmless. Raises TooLarge, Unreadable, also for what goes wrong
    within."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = (
        None  # Pillow's own limit warns, and later refuses without telling the size; ours comes first
    )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                too_large = TooLarge(len(data))
                too_large.phrase = PICTURE_TOO_LARGE.format(width=width, height=height)
                raise too_large
            yield picture
    except (OSError, SyntaxError, ValueError) as error:
        unreadable = Unreadable(f"no picture: {type(error).__name__}")
        unreadable.phrase = NO_PICTURE
        raise unreadable from error


def _written(picture: Image.Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    if picture.has_transparency_data:
        picture.convert("RGBA").save(out, "PNG")
        return out.getvalue(), "image/png"
    picture.convert("RGB").save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), "image/jpeg"
