"""Pictures on disk: whole or not at all, named by their content, and harmless before they are unpacked."""

import hashlib
import io
import stat
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.errors import StorageError, TooLarge, Unreadable
from bot.files import LONGEST_SIDE, NAME, FileStore, fit_for_models, resized, size_of


def drawn(size: tuple[int, int], mode: str = "RGB", form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, (200, 40, 10, 90)[: len(mode)] if mode != "L" else 7).save(out, form, **options)
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# --- on disk -----------------------------------------------------------------------------------------------------------


async def test_what_is_kept_is_found_again_by_its_name(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")

    name = await store.keep(b"some bytes", "image/png")

    assert NAME.fullmatch(name)
    assert name == hashlib.sha256(b"some bytes").hexdigest()[:32] + ".png"
    assert await store.load(name) == b"some bytes"


async def test_the_same_bytes_are_one_file_and_nothing_half_written_stays(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")

    names = {await store.keep(b"again", "image/jpeg") for _ in range(3)}

    assert [path.name for path in (tmp_path / "files").iterdir()] == [*names]


async def test_only_the_owner_of_the_process_can_look_at_them(tmp_path: Path) -> None:
    name = await FileStore(tmp_path / "files").keep(b"private", "image/png")

    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "files" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["../magpie.db", "/etc/hosts", "", "a.png", "0" * 32 + ".svg", "0" * 32 + ".png\n"])
async def test_no_other_name_leads_to_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "magpie.db").write_bytes(b"secret")

    with pytest.raises(Unreadable):
        await FileStore(tmp_path / "files").load(name)


async def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        await FileStore(tmp_path).load("0" * 32 + ".png")


async def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"in the way")

    with pytest.raises(StorageError):
        await FileStore(tmp_path / "files").keep(b"bytes", "image/png")


async def test_an_unknown_type_is_kept_without_pretending(tmp_path: Path) -> None:
    assert (await FileStore(tmp_path).keep(b"what", "application/x-what")).endswith(".bin")


# --- in a shared store -------------------------------------------------------------------------------------------------


class Away:
    """A shared store that does not answer."""

    async def keep_file(self, name: str, data: bytes) -> None:
        raise StorageError("PostgreSQL cannot be reached")

    async def load_file(self, name: str) -> bytes | None:
        raise StorageError("PostgreSQL cannot be reached")


async def test_what_the_shared_store_did_not_take_is_not_kept(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files", Away())

    with pytest.raises(StorageError):
        await store.keep_picture(drawn((50, 50)))
    with pytest.raises(StorageError):
        await store.load("0" * 32 + ".png")

    assert not (tmp_path / "files").exists()


async def test_what_lies_on_disk_is_not_asked_of_the_shared_store(tmp_path: Path) -> None:
    name = await FileStore(tmp_path).keep(b"here", "image/png")

    assert await FileStore(tmp_path, Away()).load(name) == b"here"


# --- fit for a model ---------------------------------------------------------------------------------------------------


def test_a_photo_becomes_a_jpeg_within_the_longest_side() -> None:
    data, mime = fit_for_models(drawn((LONGEST_SIDE * 2, 300)))

    assert mime == "image/jpeg"
    assert opened(data).size == (LONGEST_SIDE, 150)


def test_a_small_picture_keeps_its_size() -> None:
    data, _ = fit_for_models(drawn((64, 48)))

    assert opened(data).size == (64, 48)


def test_a_transparent_picture_stays_a_png() -> None:
    data, mime = fit_for_models(drawn((32, 32), "RGBA"))

    assert mime == "image/png"
    assert opened(data).mode == "RGBA"


@pytest.mark.parametrize(
    ("mode", "form"), [("L", "PNG"), ("RGB", "WEBP"), ("RGB", "GIF"), ("CMYK", "JPEG"), ("P", "PNG")]
)
def test_other_kinds_of_pictures_are_taken_too(mode: str, form: str) -> None:
    picture = drawn((40, 30), "RGB") if mode == "P" else drawn((40, 30), mode, form)
    if mode == "P":
        out = io.BytesIO()
        opened(picture).convert("P").save(out, "PNG")
        picture = out.getvalue()

    data, mime = fit_for_models(picture)

    assert mime == "image/jpeg"
    assert opened(data).size == (40, 30)


def test_a_photo_taken_upright_is_turned_and_its_place_is_forgotten() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    exif[0x010E] = "where I live"

    data, _ = fit_for_models(drawn((40, 30), form="JPEG", exif=exif))

    assert opened(data).size == (30, 40)
    assert not opened(data).getexif()
    assert b"where I live" not in data


def test_a_picture_that_would_unpack_to_gigabytes_is_refused_with_its_size() -> None:
    with pytest.raises(TooLarge) as refused:
        fit_for_models(claiming(30_000, 30_000))

    assert "30000" in str(refused.value.phrase.to("en"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture at all",
        drawn((9, 400)),
        drawn((100, 100))[:60],
        claiming(100, 100),
        claiming(0, 0),
        b"%PDF-1.7\n" + b"x" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_no_whole_picture_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        fit_for_models(data)


@pytest.mark.parametrize(("mode", "mime"), [("RGB", "image/jpeg"), ("RGBA", "image/png"), ("L", "image/jpeg")])
async def test_a_kept_picture_has_a_copy_of_another_size(tmp_path: Path, mode: str, mime: str) -> None:
    store = FileStore(tmp_path / "files")
    name = await store.keep_picture(drawn((60, 40), mode))
    assert await store.picture_size(name) == (60, 40)

    copy = await store.resized(name, 600, 400)

    assert await store.picture_size(copy) == (600, 400)
    assert await store.picture_size(name) == (60, 40)
    assert resized(await store.load(name), 30, 20)[1] == mime


async def test_what_is_no_picture_has_no_size(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    name = await store.keep(b"a video", "video/mp4")

    with pytest.raises(Unreadable):
        await store.picture_size(name)
    with pytest.raises(Unreadable):
        await store.resized(name, 10, 10)
    with pytest.raises(TooLarge):
        size_of(claiming(30_000, 30_000))


PNG, JPEG = drawn((24, 24)), drawn((24, 24), form="JPEG")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on what is damaged
@given(st.sampled_from([PNG, JPEG]), st.integers(0, 2000), st.binary(max_size=8))
def test_a_damaged_picture_is_fit_or_refused_and_nothing_else(picture: bytes, place: int, damage: bytes) -> None:
    place %= len(picture)
    damaged = picture[:place] + damage + picture[place + len(damage) :]

    try:
        _, mime = fit_for_models(damaged)
    except (Unreadable, TooLarge):
        return
    assert mime in ("image/jpeg", "image/png")


async def test_a_kept_picture_is_the_fit_one(tmp_path: Path) -> None:
    store = FileStore(tmp_path)

    name = await store.keep_picture(drawn((50, 50)))

    assert name.endswith(".jpg")
    assert opened(await store.load(name)).size == (50, 50)
