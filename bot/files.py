"""Pictures on disk, named by their content: what people sent, made fit for a model, and what models drew.

Pillow is imported when the first picture comes: most chats never send one.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import tempfile
from pathlib import Path

from bot.errors import StorageError, TooLarge, Unreadable
from bot.phrases import NO_PICTURE, PICTURE_TOO_LARGE

MOST_PIXELS = 40_000_000  # of a picture that we are willing to unpack: about 160 MB
LONGEST_SIDE = 2048  # pixels: both vendors scale down what is larger
SMALLEST_SIDE = 10  # pixels: below, both vendors refuse
QUALITY = 88  # of the JPEG that a photo becomes
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # Pillow knows many more, EPS by way of a program that it starts

SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
NAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|webp|gif|bin)")


class FileStore:
    """ports.Files over one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unpacking = asyncio.Semaphore(1)  # ten harmless pictures at once take more memory than a small server has

    async def keep(self, data: bytes, mime: str) -> str:
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.{SUFFIXES.get(mime, 'bin')}"
        try:
            await asyncio.to_thread(self._write, name, data)
        except OSError as error:
            raise StorageError(f"cannot keep a picture: {error.strerror}") from error
        return name

    async def keep_picture(self, data: bytes) -> str:
        async with self._unpacking:
            fit, mime = await asyncio.to_thread(fit_for_models, data)
        return await self.keep(fit, mime)

    async def load(self, name: str) -> bytes:
        if not NAME.fullmatch(name):
            raise Unreadable(f"{name!r} names no kept file")
        try:
            return await asyncio.to_thread((self._directory / name).read_bytes)
        except OSError as error:
            raise Unreadable(f"the file {name} is gone: {error.strerror}") from error

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all, also when the power goes."""
        path = self._directory / name
        if path.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._directory, delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)


def fit_for_models(data: bytes) -> tuple[bytes, str]:
    """A picture as the vendors take it, and its MIME type: upright, at most 2048 px a side, PNG when it has transparency,
    else JPEG. Raises TooLarge, Unreadable; nothing is unpacked before its size is known to be harmless."""
    from PIL import Image, ImageOps, UnidentifiedImageError

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
            if min(width, height) < SMALLEST_SIDE:
                raise UnidentifiedImageError("too small")
            picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))  # before anything that copies it
            upright = ImageOps.exif_transpose(picture)
            clear = upright.has_transparency_data
            out = io.BytesIO()
            if clear:
                upright.convert("RGBA").save(out, "PNG")
                return out.getvalue(), "image/png"
            upright.convert("RGB").save(out, "JPEG", quality=QUALITY)
            return out.getvalue(), "image/jpeg"
    except (OSError, SyntaxError, ValueError) as error:
        unreadable = Unreadable(f"no picture: {type(error).__name__}")
        unreadable.phrase = NO_PICTURE
        raise unreadable from error
