"""What is said about thinking first. No logic."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

HELP = Phrase("whether models think before they answer", "模型回答前是否先思考")
ARGUMENT = Phrase("[on|off|auto]", "[开|关|自动]")

ON = Phrase("on", "开")
OFF = Phrase("off", "关")
AUTO = Phrase("auto", "自动")

STATE = Phrase(
    "Thinking first: **{setting}** in this chat. {meaning}",
    "本聊天的思考模式：**{setting}**。{meaning}",
)
MEANS_ON = Phrase(
    "Models that can think do so before they answer: slower, dearer, and better at hard questions.",
    "能思考的模型会先思考再回答：较慢、较贵，但更擅长难题。",
)
MEANS_OFF = Phrase("Models answer at once where they can.", "模型尽可能直接回答。")
MEANS_AUTO = Phrase(
    "Models answer at once where they can, which is quicker; `/think on` lets them think.",
    "模型尽可能直接回答，这样更快；`/think 开` 让它们先思考。",
)

SWITCHES = Phrase("`{model}`, which this chat uses, does either.", "本聊天使用的 `{model}` 两者皆可。")
ALWAYS = Phrase(
    "`{model}`, which this chat uses, always thinks first: that cannot be switched off.",
    "本聊天使用的 `{model}` 总是先思考，无法关闭。",
)
NEVER = Phrase("`{model}` cannot think before it answers.", "`{model}` 不能先思考再回答。")
NEVER_BUT = Phrase(
    "`{model}` cannot think before it answers; `{other}` can (`/model {other}`).",
    "`{model}` 不能先思考再回答；`{other}` 可以（`/model {other}`）。",
)

UNKNOWN = Phrase(
    "Write `/think on`, `/think off` or `/think auto`.",
    "请写 `/think 开`、`/think 关` 或 `/think 自动`。",
)
