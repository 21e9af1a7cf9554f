"""Drawn pictures: a magpie on a branch under a sky in the prompt's colours, the same for the same prompt; and their links.

Pillow is imported when the first picture is drawn or measured.
"""

import asyncio
import base64
import binascii
import colorsys
import hashlib
import io
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bot.simulator.faults import Fault
from bot.simulator.words import Seen

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

MAX_SHELF = 40_000  # links, of which a film takes two
HUGE = 30 * 1024 * 1024  # bytes
_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
# What the sky takes from a prompt that names a colour or a time of day; otherwise chance decides.
_HUES = {
    "red": 0.0, "红": 0.0, "fox": 0.05, "狐": 0.05, "orange": 0.07, "橙": 0.07, "sunset": 0.04, "夕阳": 0.04, "autumn": 0.08,
    "秋": 0.08, "gold": 0.12, "yellow": 0.14, "黄": 0.14, "green": 0.33, "绿": 0.33, "spring": 0.3, "春": 0.3, "forest": 0.38,
    "森林": 0.38, "sea": 0.5, "海": 0.5, "blue": 0.58, "蓝": 0.58, "snow": 0.56, "雪": 0.56, "winter": 0.56, "冬": 0.56,
    "night": 0.66, "夜": 0.66, "purple": 0.76, "紫": 0.76, "pink": 0.92, "粉": 0.92,
}  # fmt: skip
_EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired.</Message></Error>"
)


@dataclass(frozen=True, slots=True)
class Link:
    make: Callable[[], bytes]
    mime: str
    expires: float
    fault: Fault | None


class Shelf:
    """Pictures, videos and sounds by their links. Made when fetched; a link lives `life` seconds, as the vendors' do."""

    def __init__(self, *, life: float) -> None:
        self._life = life
        self._links: OrderedDict[str, Link] = OrderedDict()

    def put(self, prompt: str, width: int, height: int, *, variant: int = 0, fault: Fault | None = None) -> str:
        """Promise a picture; returns the path of its link."""
        key = self._promise(lambda: draw(prompt, width, height, variant), "image/png", fault)
        return f"/pictures/{key}.png"

    def put_media(self, make: Callable[[], bytes], mime: str, ending: str, *, fault: Fault | None = None) -> str:
        """Promise a video or a sound; returns the path of its link."""
        return f"/media/{self._promise(make, mime, fault)}.{ending}"

    def _promise(self, make: Callable[[], bytes], mime: str, fault: Fault | None) -> str:
        while len(self._links) >= MAX_SHELF:
            self._links.popitem(last=False)
        key = f"{len(self._links):x}{random.getrandbits(64):016x}"
        self._links[key] = Link(make, mime, time.monotonic() + self._life, fault)
        return key

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /pictures/{key}.png, /media/{key}.{ending}: 403 in OSS's words once the link has expired or if it never was."""
        link = self._links.get(request.match_info["key"])
        fault = link.fault.picture if link and link.fault else None
        if link is None or fault == "expired" or time.monotonic() >= link.expires:
            return web.Response(body=_EXPIRED, status=403, content_type="application/xml")
        if fault == "redirect" and "again" not in request.query:
            where = (link.fault.location if link.fault else "") or f"{request.path}?again"
            return web.Response(status=302, headers={"Location": where})
        data = await asyncio.to_thread(link.make)
        if fault == "huge":
            data += bytes(HUGE - len(data))
        return web.Response(body=data, content_type=link.mime)


def measure(data: bytes) -> Seen | None:
    """A picture's size and format from its bytes, without decoding it; None if it is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return Seen(image.width, image.height, image.format or "")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def decode(url: str, *, max_bytes: int) -> Seen | None:
    """Look at `https://…`, a data URL or bare base64; None if it is none of these or no picture, or too big."""
    if url.startswith(("https://", "http://")):
        return Seen(url=url)
    if url.startswith("data:"):
        head, comma, url = url.partition(",")
        if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
            return None
    try:
        data = base64.b64decode(url, validate=True)
    except (binascii.Error, ValueError):
        return None
    return measure(data) if 0 < len(data) <= max_bytes else None


def draw(prompt: str, width: int, height: int, variant: int = 0) -> bytes:
    """A PNG of this size; the prompt is in its text chunk `Prompt`, and written on it where a font can."""
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    dice = random.Random(hashlib.sha256(f"{variant}\n{prompt}".encode("utf-8", "replace")).digest())
    named = [hue for word, hue in _HUES.items() if word in prompt.lower()]
    hue = named[0] + dice.uniform(-0.02, 0.02) if named else dice.random()
    top, low = _colour(hue, 0.55, 0.55), _colour(hue + 0.12, 0.28, 0.98)
    sky = Image.new("RGB", (1, 2))
    sky.putpixel((0, 0), top)
    sky.putpixel((0, 1), low)
    image = sky.resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    unit = min(width, height) / 100
    _sun(pen, dice, width, unit)
    _hills(pen, dice, hue, width, height)
    _branch(pen, dice, width, height, unit)
    _magpie(pen, width * (0.42 + 0.16 * dice.random()), height * 0.62, unit, facing=dice.choice((-1, 1)))
    _caption(pen, prompt, width, height)
    info = PngInfo()
    info.add_itxt("Prompt", prompt.encode("utf-8", "replace").decode())
    info.add_itxt("Software", "Magpie's built-in simulator")
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info, compress_level=1)
    return out.getvalue()


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def _sun(pen: "ImageDraw.ImageDraw", dice: random.Random, width: int, unit: float) -> None:
    x, y, r = width * dice.uniform(0.12, 0.88), unit * dice.uniform(16, 30), unit * dice.uniform(6, 10)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 246, 214))
    for _ in range(3):
        x, y, r = width * dice.random(), unit * dice.uniform(10, 40), unit * dice.uniform(1.6, 3)
        for step, size in ((-2, 0.8), (-1, 1.3), (0, 1.8), (1, 1.4), (2, 0.9)):
            cx, cy, cr = x + step * r * 1.5, y - size * r * 0.5, r * size
            pen.ellipse((cx - cr, cy - cr, cx + cr, cy + cr), fill=(250, 250, 252))


def _hills(pen: "ImageDraw.ImageDraw", dice: random.Random, hue: float, width: int, height: int) -> None:
    for row in range(3):
        base = height * (0.70 + 0.1 * row)
        step = width / 8
        ridge = [(at * step, base - height * dice.uniform(0, 0.09)) for at in range(-1, 11)]
        colour = _colour(hue + 0.3, 0.35, 0.62 - 0.13 * row)
        pen.polygon([(-step, height), *ridge, (width + 2 * step, height)], fill=colour)


def _branch(pen: "ImageDraw.ImageDraw", dice: random.Random, width: int, height: int, unit: float) -> None:
    wood = (74, 52, 40)
    y = height * 0.62 + unit * 13.6
    pen.line([(0, y + unit * 4), (width * 0.5, y), (width, y - unit * 3)], fill=wood, width=max(1, int(unit * 2.4)))
    for _ in range(9):
        x = width * dice.random()
        root = y + unit * (4 - 8 * x / width if x < width / 2 else 3 - 6 * x / width)
        tip = x + unit * dice.uniform(-6, 6), root - unit * dice.uniform(5, 12)
        pen.line([(x, root), tip], fill=wood, width=max(1, int(unit * 0.7)))
        for leaf in range(2):
            lx, ly = tip[0] + unit * (leaf * 2 - 1), tip[1]
            pen.ellipse((lx - unit, ly - unit * 1.8, lx + unit, ly + unit * 0.4), fill=_colour(0.27, 0.5, 0.6))


def _magpie(pen: "ImageDraw.ImageDraw", x: float, y: float, unit: float, *, facing: int) -> None:
    black, blue, white = (24, 26, 34), (40, 74, 140), (250, 250, 248)

    def place(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + facing * px * unit, y + py * unit) for px, py in points]

    def oval(px: float, py: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        cx, cy = x + facing * px * unit, y + py * unit
        pen.ellipse((cx - rx * unit, cy - ry * unit, cx + rx * unit, cy + ry * unit), fill=colour)

    pen.polygon(place((-6, 2), (-31, 19), (-27, 22), (-2, 8)), fill=blue)  # the long tail
    pen.polygon(place((-6, 2), (-31, 19), (-29, 20.5), (-3, 6)), fill=black)
    oval(0, 2, 11, 8, black)
    oval(1.5, 5, 8.5, 5.8, white)  # belly
    oval(9, -6, 5.8, 5.4, black)
    pen.polygon(place((4, -6), (13, -3), (9, 3), (2, 3)), fill=black)
    pen.polygon(place((13.5, -8), (20.5, -5), (13.5, -4)), fill=(52, 50, 52))
    oval(-3, -0.5, 8, 3.6, blue)  # wing
    oval(0.5, -3.2, 4, 1.9, white)
    oval(10.6, -7.2, 1.2, 1.2, white)
    oval(10.9, -7.2, 0.6, 0.6, black)
    for foot in (-1.0, 3.5):
        pen.line(place((foot, 9), (foot + 0.6, 14)), fill=(52, 50, 52), width=max(1, int(unit * 0.8)))


def _caption(pen: "ImageDraw.ImageDraw", prompt: str, width: int, height: int) -> None:
    size = max(12, height // 28)
    font = _font(prompt, size)
    if font is None:
        return
    lines: list[str] = [""]
    for character in " ".join(prompt.split())[:300]:
        if pen.textlength(lines[-1] + character, font=font) > width * 0.92 and lines[-1]:
            lines.append("")
        lines[-1] += character
    shown = lines[:3]
    if len(lines) > 3:
        shown[-1] = shown[-1][:-1] + "…"
    y = height - size * (1.4 * len(shown) + 0.6)
    pen.rectangle((0, y - size * 0.4, width, height), fill=(24, 26, 34))
    for line in shown:
        pen.text((width * 0.04, y), line.strip(), font=font, fill=(250, 250, 248))
        y += size * 1.4


def _font(prompt: str, size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont | None":
    """A font that can write the prompt: a system one for what is not Latin (Pillow's own is Latin only), else None."""
    from PIL import ImageFont

    if all(ord(character) < 0x180 or character == "…" for character in prompt):
        return ImageFont.load_default(size)
    for path in _FONTS:
        if Path(path).exists():
            return ImageFont.truetype(path, size)
    return None
