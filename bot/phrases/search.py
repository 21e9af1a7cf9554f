"""What people read of /search."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

HELP = Phrase("search the web and answer from it", "搜索网络并据此回答")
WHAT = Phrase("What am I to search for? `/search question`", "要搜索什么？用法：`/search 问题`")
NONE = Phrase(
    "No web search is set up here: it needs ZHIPUAI_API_KEY, or a Qwen model that searches.",
    "此处没有可用的网络搜索：需要 ZHIPUAI_API_KEY，或支持搜索的 Qwen 模型。",
)
INSTEAD = Phrase("{model} answers: {other} cannot search the web.", "由 {model} 回答：{other} 不能搜索网络。")
