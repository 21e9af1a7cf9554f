"""Videos as the simulated vendors make them: real MP4 files with real H.264 in them, some kilobytes, that every player shows.

Nothing is compressed: each picture is sent as the samples themselves (`I_PCM` macroblocks), which any H.264 decoder must take
and which needs no encoder. Clause numbers are those of H.264 (ITU-T Rec. H.264) and of ISO/IEC 14496-12 and -15.
"""

import colorsys
import hashlib
import struct
from collections.abc import Sequence

SIDE = 32  # pixels: two by two macroblocks
_SCALE = 1_000  # units of time in a second


def film(prompt: str, seconds: int, *, pictures: int = 4) -> bytes:
    """An MP4 of this length whose colours follow from the prompt."""
    start = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0] / 255
    frames = [_frame(_ycbcr(start + at / pictures / 2), at) for at in range(pictures)]
    return _file(frames, max(1, seconds) * _SCALE // pictures)


def length(data: bytes) -> float | None:
    """Seconds of a film of ours; None if it is none."""
    at = data.find(b"mvhd")
    if data[4:8] != b"ftyp" or at < 0:
        return None
    scale, duration = struct.unpack_from(">II", data, at + 16)
    return float(duration / scale)


def _ycbcr(hue: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, 0.6, 0.9)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return int(16 + 219 * luma), int(128 + 126 * (blue - luma)), int(128 + 160 * (red - luma))


class _Bits:
    """Bits, most significant first; `ue` is the Exp-Golomb code of clause 9.1."""

    def __init__(self) -> None:
        self._text = ""

    def u(self, value: int, width: int) -> None:
        self._text += f"{value:0{width}b}"

    def ue(self, *values: int) -> None:
        for value in values:
            code = f"{value + 1:b}"
            self._text += "0" * (len(code) - 1) + code

    def align(self) -> None:
        self._text += "0" * (-len(self._text) % 8)

    def raw(self, data: bytes) -> None:
        self._text += "".join(f"{byte:08b}" for byte in data)

    def nal(self, head: int) -> bytes:
        """As a NAL unit, with its stop bit (7.3.2.11) and the bytes that keep start codes out of it (7.4.1.1)."""
        self._text += "1"
        self.align()
        payload = int(self._text, 2).to_bytes(len(self._text) // 8, "big")
        out = bytearray((head,))
        zeros = 0
        for byte in payload:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(out)


def _sequence() -> bytes:
    """The sequence parameter set (7.3.2.1): baseline profile, level 1, no reordering."""
    bits = _Bits()
    for byte in (66, 0xC0, 10):
        bits.u(byte, 8)
    bits.ue(0, 0, 2, 0)  # its id, 16 frame numbers, output in order of decoding, no reference pictures
    bits.u(0, 1)
    bits.ue(SIDE // 16 - 1, SIDE // 16 - 1)
    bits.u(0b1100, 4)  # frames only, 8x8 inference, no cropping, no VUI
    return bits.nal(0x67)


def _picture_set() -> bytes:
    """The picture parameter set (7.3.2.2): CAVLC, one slice group, no deblocking control."""
    bits = _Bits()
    bits.ue(0, 0)
    bits.u(0, 2)
    bits.ue(0, 0, 0)
    bits.u(0, 3)
    bits.ue(0, 0, 0)  # signed zeros look the same
    bits.u(0, 3)
    return bits.nal(0x68)


def _frame(colour: tuple[int, int, int], number: int) -> bytes:
    """One IDR picture of one slice (7.3.3), all its macroblocks I_PCM (7.3.5)."""
    luma, blue, red = colour
    bits = _Bits()
    bits.ue(0, 7, 0)  # from the first macroblock on, intra only, its parameter set
    bits.u(0, 4)
    bits.ue(number % 2)  # neighbouring IDR pictures differ in this id
    bits.u(0, 2)
    bits.ue(0)
    for _ in range((SIDE // 16) ** 2):
        bits.ue(25)
        bits.align()
        bits.raw(bytes((luma,)) * 256 + bytes((blue,)) * 64 + bytes((red,)) * 64)
    return bits.nal(0x65)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _file(frames: Sequence[bytes], each: int) -> bytes:
    """The frames as an MP4; every one is shown for `each` units of time. `moov` comes first: it plays while it loads."""
    samples = [struct.pack(">I", len(frame)) + frame for frame in frames]
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    offset = len(kind) + len(_movie(samples, each, 0)) + 8
    return kind + _movie(samples, each, offset) + _box(b"mdat", *samples)


def _movie(samples: Sequence[bytes], each: int, offset: int) -> bytes:
    duration = each * len(samples)
    times = struct.pack(">4I", 0, 0, _SCALE, duration)
    head = _full(b"mvhd", times, struct.pack(">IH10x", 0x10000, 0x100), _MATRIX, bytes(24), struct.pack(">I", 2))
    track = struct.pack(">5I8x4H", 0, 0, 1, 0, duration, 0, 0, 0, 0)
    size = struct.pack(">2I", SIDE << 16, SIDE << 16)
    media = _box(
        b"mdia",
        _full(b"mdhd", times, struct.pack(">HH", 0x55C4, 0)),  # language "und"
        _full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"Video\0"),
        _box(
            b"minf",
            _full(b"vmhd", bytes(8), flags=1),
            _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
            _table(samples, each, offset),
        ),
    )
    return _box(b"moov", head, _box(b"trak", _full(b"tkhd", track, _MATRIX, size, flags=3), media))


def _table(samples: Sequence[bytes], each: int, offset: int) -> bytes:
    """Where the samples are, how long each is shown, and how to decode them."""
    sequence, picture = _sequence(), _picture_set()
    sets = struct.pack(">BH", 0xE1, len(sequence)) + sequence + struct.pack(">BH", 1, len(picture)) + picture
    decoder = _box(b"avcC", bytes((1, *sequence[1:4], 0xFF)), sets)
    look = struct.pack(">6xH16x2H2I4xH32xHh", 1, SIDE, SIDE, 0x480000, 0x480000, 1, 24, -1)
    count = len(samples)
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _box(b"avc1", look, decoder)),
        _full(b"stts", struct.pack(">3I", 1, count, each)),
        _full(b"stsc", struct.pack(">4I", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(">2I", 0, count), struct.pack(f">{count}I", *map(len, samples))),
        _full(b"stco", struct.pack(">2I", 1, offset)),
    )
