"""What people read when two models answer side by side."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

HELP = Phrase("ask GLM and Qwen side by side", "让 GLM 和 Qwen 同时回答")
WHAT = Phrase(
    "Write the question behind it: `/compare why is the sky blue?`", "请在命令后写上问题：`/compare 天为什么是蓝的？`"
)
NEEDS_KEY = Phrase(
    "This asks GLM and Qwen side by side, and {vendor} is not set up here: set `{variable}` and start me again.",
    "这个命令让 GLM 和 Qwen 同时回答，而这里没有配置 {vendor}：请设置 `{variable}` 并重新启动。",
)
NEEDS_BOTH = Phrase(
    "This asks GLM and Qwen side by side, and {vendor} is not set up here.",
    "这个命令让 GLM 和 Qwen 同时回答，而这里没有配置 {vendor}。",
)
SECONDS = Phrase("{seconds} s", "{seconds} 秒")
KEEP = Phrase("Keep this one", "采用这个")
KEPT = Phrase("We go on from {model}'s answer: “{words}”", "接下来以 {model} 的回答为准：“{words}”")
