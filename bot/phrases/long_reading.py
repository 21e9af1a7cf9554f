"""What people read when a document is too long for a model, and is read part by part."""

from __future__ import annotations

from bot.phrases.phrase import Phrase

READS = Phrase(
    "Too long for {model} at once: I read it in parts ({parts}{price}) and answer from notes on each.",
    "内容太长，{model} 无法一次读完：我分段阅读（共 {parts} 段{price}），并根据每段的笔记回答。",
)
PRICE = Phrase(", at most about ¥{price}", "，最多约 ¥{price}")
READING = Phrase("reading part {part} of {parts} …", "正在阅读第 {part} 段，共 {parts} 段……")
LEFT_OUT = Phrase("Too long even for that; left out: {what}", "即使如此仍然太长，未读：{what}")
REFUSED = Phrase("The vendor refuses to read: {what}", "服务商拒绝阅读：{what}")
STOPPED = Phrase("Not read: {what}. {why}", "未读：{what}。{why}")
PLACE = Phrase("{name} (parts {parts} of {all})", "{name}（第 {parts} 段，共 {all} 段）")
WHOLE = Phrase("{name} (all of it)", "{name}（全部）")
