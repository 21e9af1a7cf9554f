"""What a person writes never opens a file, on any Qwen class: an audit hook and the vendor's upload endpoint both watch."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.ports import Line
from tests.models.rig import Rig, end_of, open_rig, png

_opened: list[str] = []
_watching = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_hook)  # for good: a hook cannot be removed


@contextmanager
def no_file_opened() -> Iterator[None]:
    global _watching
    _opened.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert not _opened


def uploads(rig: Rig) -> list[str]:
    return [call.path for call in rig.sim.log if "uploads" in call.path or call.path.startswith("/oss")]


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file by each of its names: absolute, relative to the working directory, in the home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "secret.txt"
    file.write_text("hunter2")
    (tmp_path / ".env").write_text("KEY=hunter2")
    return file


def names_of(secret: Path) -> list[str]:
    return [
        "/etc/hosts",
        str(secret),
        "secret.txt",
        "./secret.txt",
        "~/.env",
        "~",
        "~root/x\0y",
        f"file://{secret}",
        "file:///no/such/file",
        "file://~/.env",
        "oss://bucket/key",
        "http://127.0.0.1:1/x",
        "data:text/plain;base64,AAAA",
    ]


@pytest.mark.parametrize("name", ["qwen-flash", "qwen3-vl-flash", "qwen3.5-plus"])
async def test_a_path_as_a_question(name: str, secret: Path) -> None:
    async with open_rig() as rig:
        await rig.ask(name)  # imports are done
        for text in names_of(secret):
            with no_file_opened():
                lines = (Line("user", text), Line("assistant", text), Line("user", text))
                assert end_of(await rig.ask(name, lines=lines)).reason
            body = rig.sim.log[-1].body
            content = body["input"]["messages"][-1]["content"]
            seen = content if isinstance(content, str) else content[-1]["text"]
            assert seen == text.replace("\0", "\ufffd")  # and the model sees it as it was written
            assert "X-DashScope-OssResourceResolve" not in rig.sim.log[-1].headers
        assert not uploads(rig)


@pytest.mark.parametrize("name", ["z-image-turbo", "qwen-image-plus", "wan2.6-t2i", "wan2.2-t2i-flash"])
async def test_a_path_as_a_picture_to_draw(name: str, secret: Path) -> None:
    async with open_rig() as rig:
        await rig.draw(name)
        for text in names_of(secret):
            with no_file_opened():
                assert (await rig.draw(name, text)).files[0].mime == "image/png"
        assert not uploads(rig)


async def test_a_path_beside_a_picture(secret: Path) -> None:
    async with open_rig() as rig:
        await rig.shelf.keep(png(), "image/png")
        await rig.ask("qwen3-vl-flash", lines=(Line("user", "?", ("0",)),))
        for text in names_of(secret):
            with no_file_opened():
                assert end_of(await rig.ask("qwen3-vl-flash", lines=(Line("user", text, ("0",)),))).reason
        content = rig.sim.log[-1].body["input"]["messages"][0]["content"]
        assert content[0]["image"].startswith("data:image/png;base64,")
        assert not uploads(rig)


async def test_the_sdk_as_it_comes_sends_the_file_away(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all this is for, and that both watchers see it: the SDK's own class, asked the same."""
    import dashscope
    from dashscope import MultiModalConversation

    async with open_rig() as rig:
        monkeypatch.setattr(dashscope, "base_http_api_url", rig.sim.dashscope_url)
        messages = [{"role": "user", "content": [{"text": str(secret)}]}]
        with pytest.raises(AssertionError), no_file_opened():
            await asyncio.to_thread(
                MultiModalConversation.call, model="qwen3-vl-flash", messages=messages, api_key=rig.sim.api_key
            )
        sent = [upload.content for call in rig.sim.log for upload in call.uploads]
        assert b"hunter2" in sent and uploads(rig)
