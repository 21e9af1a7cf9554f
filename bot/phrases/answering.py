"""What people read while an answer is made, and about what stood in its way."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

FELL_BACK = Phrase("{model} cannot answer now; {other} does.", "{model} 现在无法回答，由 {other} 代答。")
LOOKING_FOR_REFUSED = Phrase(
    "The vendor refuses something in this conversation; I am looking for it …",
    "服务商拒绝了对话中的某些内容，正在查找……",
)
LEFT_OUT = Phrase(
    "Left out from now on, since {vendor} refuses it: “{words}”", "{vendor} 拒绝了以下内容，今后不再带上：“{words}”"
)
RUNS = Phrase("({tool} …)", "（{tool}……）")
SOURCES = Phrase("Sources", "来源")
CONSENT = Phrase(
    "May I run `{tool}` with exactly this?\n\n```json\n{arguments}\n```",
    "可以用以下参数运行 `{tool}` 吗？\n\n```json\n{arguments}\n```",
)
CONSENT_YES = Phrase("Run it", "运行")
CONSENT_NO = Phrase("No", "不要")
CONSENT_OVER = Phrase(
    "That was answered already, and it went on from there: this button does nothing any more.",
    "这个问题已经回答过，并已从那里继续：这个按钮不再起作用。",
)
CONSENT_CHANGED = Phrase(
    "This tool is not what it was when you were asked; look again:", "此工具与询问时已不同，请再次确认："
)
