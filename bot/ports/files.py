"""What kept files are to those who use them: pictures, videos and sound, named by their content."""

from __future__ import annotations

from typing import Protocol


class Files(Protocol):
    """Pictures, named by their content. They are at most some 20 MB, as models draw them and people's are after they were made
    fit. All raise StorageError, too: the store or the disk does not take or give it now."""

    async def keep(self, data: bytes, mime: str) -> str:
        """Store the bytes; the name by which they are found again. They may have been paid for: a shared store that does not
        answer is waited for."""

    async def keep_picture(self, data: bytes) -> str:
        """Store a picture that a person sent, made fit for a model: at most 2048 px a side, JPEG or PNG. Raises TooLarge (also
        for one that would unpack to too many pixels) and Unreadable for what is no picture."""

    async def picture_size(self, name: str) -> tuple[int, int]:
        """Width and height in pixels. Raises Unreadable."""

    async def resized(self, name: str, width: int, height: int) -> str:
        """The name of a copy that is so large. Raises Unreadable."""

    async def load(self, name: str) -> bytes:
        """Raises Unreadable when there is none of that name."""


class SharedFiles(Protocol):
    """For Files, where several processes share a store."""

    async def keep_file(self, name: str, data: bytes) -> None:
        """Under a name that stands for the content: one that is there already stays."""

    async def load_file(self, name: str) -> bytes | None: ...
