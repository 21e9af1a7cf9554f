"""Kept files as the browser gets them: by what they are, never by what somebody says, and in ranges, without which no
browser plays a video."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

SIGNATURES = {
    **{b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"},
    **{b"OggS": "audio/ogg", b"fLaC": "audio/flac", b"ID3": "audio/mpeg"},
}
INSIDE = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}  # of a RIFF file
# One range of a file, as browsers ask for it; what has another form is answered with the whole (RFC 9110, 14.2).
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


def type_of(data: bytes) -> str:
    """By content; "" for anything but the pictures, recordings and videos that browsers show."""
    if data[:4] == b"RIFF":
        return INSIDE.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return "video/mp4"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[:3] != b"\xff\xd8\xff":
        return "audio/mpeg"
    return next((mime for signature, mime in SIGNATURES.items() if data.startswith(signature)), "")


def respond(request: Request, data: bytes) -> Response:
    """The file, or the range of it that is asked for."""
    mime = type_of(data)
    headers = {
        "content-security-policy": "default-src 'none'; sandbox",
        "content-disposition": "inline" if mime else "attachment",
        "cache-control": "private, max-age=31536000, immutable",  # a name stands for its content
        "accept-ranges": "bytes",
    }
    kind = mime or "application/octet-stream"
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked[1] == asked[2] == "":
        return Response(data, headers=headers, media_type=kind)
    first, last = _places(asked, len(data))
    if not first <= last < len(data):
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{len(data)}"})
    headers |= {"content-range": f"bytes {first}-{last}/{len(data)}"}
    return Response(data[first : last + 1], 206, headers, kind)


def _places(asked: re.Match[str], size: int) -> tuple[int, int]:
    """First and last byte; the first beyond the last where there are none such."""
    if not asked[1]:  # so many at the end
        count = int(asked[2])
        return (max(0, size - count), size - 1) if count else (size, 0)
    last = int(asked[2]) if asked[2] else size - 1
    return int(asked[1]), min(last, size - 1)
