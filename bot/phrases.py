"""What Magpie says in its own voice, in English and Chinese. No logic but choosing and filling in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence in each language; `{names}` are filled in by `format`."""

    en: str
    zh: str

    def format(self, **values: object) -> Phrase:
        return Phrase(self.en.format(**values), self.zh.format(**values))

    def to(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


# Turn and delivery
OUR_FAULT = Phrase("Something went wrong on my side. Please try again.", "我这边出了点问题，请再试一次。")
STORAGE = Phrase(
    "My storage is in trouble; I keep trying. The owner has to look after it.",
    "我的存储出了问题，我会继续重试。需要管理员处理。",
)
UNREADABLE = Phrase(
    "I could not read that message. Please send it another way.", "我读不懂这条消息，请换一种方式发送。"
)
TOO_LARGE = Phrase("That file is too large: I take at most {limit}.", "文件太大了：最多 {limit}。")
STOP = Phrase("Stop", "停止")
STOPPED = Phrase("stopped", "已停止")
NOTHING_RUNS = Phrase("Nothing is running.", "现在没有正在进行的回答。")
RESET = Phrase("A new conversation. I have forgotten the old one.", "新的对话开始了，之前的内容我已忘记。")
RESET_CLOSED = Phrase(
    "A new conversation. I have forgotten the old one; messages that were still waiting and will not be answered: {count}.",
    "新的对话开始了，之前的内容我已忘记；还在排队、将不再回答的消息：{count} 条。",
)
THINKING = Phrase("thinking …", "正在思考……")
POISON = Phrase(
    "I tried to answer this several times and broke down each time. I leave it now; the owner can see it in the log.",
    "我多次尝试回答这条消息都失败了，现在先放下；管理员可以在日志里看到。",
)
CUT = Phrase("(the answer broke off here)", "（回答在此处中断）")
LENGTH = Phrase("(cut at the model's length limit)", "（已达到模型的长度上限）")

# Vendors, by errors.Trouble
TROUBLE: dict[str, Phrase] = {
    "no money": Phrase(
        "The account at the model's vendor has no money left. The owner has to top it up.",
        "模型服务商账户余额不足，需要管理员充值。",
    ),
    "bad key": Phrase(
        "The vendor does not accept my key. The owner has to check it.", "服务商不接受我的密钥，需要管理员检查。"
    ),
    "busy": Phrase("The vendor lets me ask no faster. Please try again in a minute.", "请求太频繁，请一分钟后再试。"),
    "overloaded": Phrase(
        "The model is overloaded at its vendor. Please try again in a few minutes, or choose another with /model.",
        "模型服务商目前过载，请几分钟后再试，或用 /model 换一个模型。",
    ),
    "quota": Phrase(
        "The vendor's quota for this model is used up. Choose another with /model, or wait until it opens again.",
        "这个模型的配额已用完。请用 /model 换一个模型，或等待配额恢复。",
    ),
    "refused": Phrase(
        "The vendor's content filter refused this. I leave the question out of our conversation.",
        "服务商的内容审核拒绝了这个请求，这个问题不会进入后续对话。",
    ),
    "too long": Phrase(
        "That is too long for this model. Shorten it, or /reset to begin anew.",
        "内容超出了模型的长度，请缩短，或用 /reset 重新开始。",
    ),
    "no such model": Phrase(
        "The vendor no longer knows this model. Choose another with /model.",
        "服务商已没有这个模型，请用 /model 换一个。",
    ),
    "bad request": Phrase(
        "The vendor did not accept the request. Try /retry, or another model with /model.",
        "服务商没有接受这个请求。请试试 /retry，或用 /model 换一个模型。",
    ),
    "fault": Phrase("The vendor's servers failed. Please try again.", "服务商的服务器出错了，请再试一次。"),
    "unreachable": Phrase("I cannot reach the vendor right now. Please try again.", "现在连不上服务商，请稍后再试。"),
    "silent": Phrase(
        "The model did not begin to answer in time. Please try again.", "模型没有及时开始回答，请再试一次。"
    ),
    "cut": Phrase("The answer broke off at the vendor. Please try again.", "回答在服务商处中断了，请再试一次。"),
}
BUDGET_SPENT = Phrase(
    "Today's budget is spent. It opens again at {opens}; free models go on working (see /model).",
    "今天的预算已用完，{opens} 重新开放；免费模型仍可使用（见 /model）。",
)
