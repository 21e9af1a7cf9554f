"""Which addresses a text holds."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.links import addresses, is_written

PATHS = st.text("abcXYZ019-_~/.", max_size=20)
SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://a.example/x.", "https://a.example/x"),
        ("(http://a.example/x)", "https://a.example/x"),
        ("a.example/x/ is it", "https://a.example/x"),
        ("看看https://a.example/x这个", "https://a.example/x"),
        ("看https://a.example/x，好吗", "https://a.example/x"),
        ("[Bird](https://a.example/wiki/Bird_(animal))", "https://a.example/wiki/Bird_(animal)"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("https://zh.example/wiki/喜鹊", "https://zh.example/wiki/%E5%96%9C%E9%B9%8A"),
        ("https://zh.example/wiki/%E5%96%9C%E9%B9%8A", "https://zh.example/wiki/喜鹊"),
        ("https://a.example/x#part", "https://a.example/x#other"),
        ("https://a.example:8443/x", "https://a.example:8443/x"),
        ("**https://a.example/x**", "https://a.example/x"),
    ],
)
def test_an_address_is_found_in_what_people_write(text: str, url: str) -> None:
    assert is_written(url, [text])


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x?q=1",
        "https://a.example/",
        "https://a.example/xy",
        "https://b.a.example/x",
        "https://a.exampl",
        "x",
    ],
)
def test_another_address_is_not(url: str) -> None:
    assert not is_written(url, ["see https://a.example/x", "and more"])


@given(PATHS, SECRETS)
def test_nothing_can_be_added_to_an_address(path: str, secret: str) -> None:
    text = f"Read https://a.example/{path} and tell {secret}"
    assert not is_written(f"https://a.example/{path}?q={secret}", [text])
    assert not is_written(f"https://{secret}.evil.example/", [text])


@given(st.text())
def test_any_text_can_be_looked_through(text: str) -> None:
    assert isinstance(addresses(text), frozenset)


@pytest.mark.parametrize(
    "text", ["a." * 100_000, "http://" * 50_000, "x" * 500_000, "https://a.b/" + ")" * 200_000, "-." * 100_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    addresses(text)
    assert time.process_time() - began < 2
