"""Result links: only public https or the vendor's own host, only pictures, only so large."""

import pytest
from aiohttp import web
from yarl import URL

from bot.errors import ModelError, Trouble
from bot.foreign import BadLink
from bot.messages import Finish
from bot.models.pictures import fetch, mime_of
from bot.simulator import Fault
from tests.models.rig import open_rig, png, recorded


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://oss.example.com/a.png", "https"),
        ("data:image/png;base64,AAAA", "https"),
        ("file:///etc/passwd", "https"),
        ("ftp://example.com/a.png", "https"),
        ("/pictures/a.png", "https"),
        ("", "https"),
        ("https://127.0.0.1/a.png", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
        ("https://[::1]/a.png", "public"),
        ("https://[64:ff9b::7f00:1]/a.png", "public"),
        ("https://localhost/a.png", "public"),
        ("https://2130706433/a.png", "public|address|Cannot connect"),  # a number that resolvers read as 127.0.0.1
        ("https://0x7f.1/a.png", "public|address|Cannot connect"),
        ("https://user@127.0.0.1:443/", "public"),
        ("https://exa mple/", "address|Cannot connect|InvalidURL"),
        ("https://[bad", "address"),
    ],
)
async def test_a_link_that_must_not_be_followed(link: str, reason: str) -> None:
    with pytest.raises(BadLink, match=reason):
        await fetch(link, host=URL("https://open.bigmodel.cn/api/paas/v4"))


async def test_the_vendors_own_host_is_trusted_and_no_other_port_of_it() -> None:
    async with recorded([png()], content_type="image/png") as own, recorded([png()]) as other:
        assert await fetch(f"{own}/x.png", host=URL(f"{own}/api/v1")) == (png(), "image/png")
        with pytest.raises(BadLink):
            await fetch(f"{other}/x.png", host=URL(f"{own}/api/v1"))


@pytest.mark.parametrize(
    ("body", "reason"), [(b"<html>", "no picture"), (b"", "no picture"), (png() + bytes(3_000), "more than 2000")]
)
async def test_only_a_picture_of_decent_size_is_taken(body: bytes, reason: str) -> None:
    async with recorded([body] if body else [], content_type="image/png") as own:
        with pytest.raises(BadLink, match=reason):
            await fetch(own, host=URL(own), limit=2_000)


async def test_redirects_are_checked_like_links_and_counted() -> None:
    routes = web.RouteTableDef()
    hops: list[str] = []

    @routes.get("/{where:.*}")
    async def redirect(request: web.Request) -> web.StreamResponse:
        hops.append(request.match_info["where"])
        targets = {
            "inside": "https://127.0.0.1/x",
            "plain": "http://example.com/x",
            "loop": "/loop",
            "twice": "/picture",
        }
        if request.match_info["where"] == "picture":
            return web.Response(body=png(), content_type="image/png")
        return web.Response(status=302, headers={"Location": targets[request.match_info["where"]]})

    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    own = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        for where, reason in (("inside", "public"), ("plain", "https"), ("loop", "redirects")):
            with pytest.raises(BadLink, match=reason):
                await fetch(f"{own}/{where}", host=URL(own))
        assert hops.count("loop") == 4
        assert (await fetch(f"{own}/twice", host=URL(own)))[1] == "image/png"
    finally:
        await runner.cleanup()


def test_pictures_are_known_by_their_first_bytes() -> None:
    assert mime_of(png()) == "image/png"
    assert mime_of(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert mime_of(b"GIF89a") == "image/gif"
    assert mime_of(b"RIFF\0\0\0\0WEBP") == "image/webp"
    assert mime_of(b"<svg/>") == mime_of(b"") == mime_of(b"RIFF\0\0\0\0WAVE") == ""


DRAWERS = ["cogview-3-flash", "glm-image", "z-image-turbo", "qwen-image-plus", "wan2.6-t2i", "wan2.2-t2i-flash"]


@pytest.mark.parametrize("name", DRAWERS)
async def test_every_way_of_drawing(name: str) -> None:
    async with open_rig() as rig:
        made = await rig.draw(name)
        assert [(file.mime, file.data[:4]) for file in made.files] == [("image/png", b"\x89PNG")]
        end = made.finished
        assert (end.reason, end.usage.pictures, end.model) == (Finish.STOP, 1, name)
        for size in rig.card(name, "image").sizes:
            [drawn] = (await rig.draw(name, size=size, seed=7)).files
            width, height = (int.from_bytes(drawn.data[at : at + 4], "big") for at in (16, 20))
            assert f"{width}x{height}" == size


@pytest.mark.parametrize("name", DRAWERS)
async def test_a_refused_prompt(name: str) -> None:
    vendor, code = (
        ("glm", "1301") if name in ("cogview-3-flash", "glm-image") else ("dashscope", "DataInspectionFailed")
    )
    async with open_rig() as rig:
        rig.sim.fail(Fault(vendor=vendor, code=code))
        with pytest.raises(ModelError) as caught:
            await rig.draw(name)
        assert (caught.value.trouble, caught.value.code) == (Trouble.REFUSED, code)


@pytest.mark.parametrize(
    "fault",
    [Fault(picture="expired"), Fault(picture="huge"), Fault(picture="redirect", location="http://10.0.0.1/")],
)
async def test_a_result_link_that_gives_nothing(fault: Fault) -> None:
    async with open_rig() as rig:
        rig.sim.fail(fault)
        with pytest.raises(ModelError) as caught:
            await rig.draw("z-image-turbo")
        assert (caught.value.trouble, caught.value.code) == (Trouble.FAULT, "link")
