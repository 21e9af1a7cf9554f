import base64
import io

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.simulator import Fault, Simulator
from bot.simulator.pictures import decode, draw
from tests.simulator.asking import png


@pytest.mark.parametrize("prompt", ["a red fox in snow", "雪地里的红狐", "🦊" * 50, "x" * 5_000, "\ud800 broken", ""])
def test_a_picture_has_the_size_asked_for_and_carries_its_prompt(prompt: str) -> None:
    with Image.open(io.BytesIO(draw(prompt, 512, 768))) as image:
        assert image.size == (512, 768)
        assert image.info["Prompt"] == prompt.encode("utf-8", "replace").decode()
        image.load()
        colours = image.getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 100


def test_the_same_prompt_gives_the_same_picture_and_another_one_another() -> None:
    assert draw("fox", 256, 256) == draw("fox", 256, 256)
    assert draw("fox", 256, 256) != draw("owl", 256, 256)
    assert draw("fox", 256, 256) != draw("fox", 256, 256, variant=1)


@settings(max_examples=10)
@given(st.text(max_size=200), st.integers(16, 300), st.integers(16, 300))
def test_any_prompt_and_size_can_be_drawn(prompt: str, width: int, height: int) -> None:
    assert draw(prompt, width, height).startswith(b"\x89PNG")


def test_pictures_are_looked_at_in_every_form_and_nothing_else_is_one() -> None:
    bare = png(40, 30)
    for form in (bare, f"data:image/png;base64,{bare}"):
        seen = decode(form, max_bytes=10_000)
        assert seen is not None
        assert (seen.width, seen.height, seen.format) == (40, 30, "PNG")
    no_picture = base64.b64encode(b"no picture").decode()
    for form in ("/etc/hosts", "file:///etc/hosts", "data:text/plain;base64,aGk=", no_picture, ""):
        assert decode(form, max_bytes=10_000) is None
    assert decode(bare, max_bytes=10) is None


async def link(sim: Simulator, http: aiohttp.ClientSession) -> str:
    body = {"model": "cogview-3-flash", "prompt": "a magpie", "size": "512x512"}
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    async with http.post(f"{sim.glm_url}/images/generations", json=body, headers=headers) as answer:
        url = (await answer.json())["data"][0]["url"]
    assert isinstance(url, str)
    return url


async def test_a_link_expires(http: aiohttp.ClientSession) -> None:
    async with Simulator(picture=0, picture_life=0) as sim, http.get(await link(sim, http)) as answer:
        assert answer.status == 403
        assert b"Request has expired" in await answer.read()


async def test_a_link_may_redirect_or_be_huge(sim: Simulator, http: aiohttp.ClientSession) -> None:
    sim.fail(Fault(picture="redirect"))
    async with http.get(await link(sim, http), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{answer.url.path}?again")
    sim.fail(Fault(picture="redirect", location="http://169.254.169.254/latest"))
    async with http.get(await link(sim, http), allow_redirects=False) as answer:
        assert answer.headers["Location"] == "http://169.254.169.254/latest"
    sim.fail(Fault(picture="huge"))
    async with http.get(await link(sim, http)) as answer:
        assert answer.content_length == 30 * 1024 * 1024
    sim.fail(Fault(picture="expired"))
    async with http.get(await link(sim, http)) as answer:
        assert answer.status == 403
