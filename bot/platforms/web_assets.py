"""The page's own files, read once and held compressed: a browser asks again with an ETag and gets 304."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    packed: bytes
    etag: str
    type: str

    def respond(self, request: Request, status: int = 200) -> Response:
        headers = {"etag": self.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if status == 200 and request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.body, status, headers, self.type)
        return Response(self.packed, status, {**headers, "content-encoding": "gzip"}, self.type)


def load_assets() -> dict[str, Asset]:
    """By file name."""
    assets = {}
    for path in FOLDER.iterdir():
        if path.suffix in TYPES:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            assets[path.name] = Asset(body, gzip.compress(body, mtime=0), etag, TYPES[path.suffix])
    return assets
