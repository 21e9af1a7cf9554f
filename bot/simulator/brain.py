"""The simulated model's mind: answers that show what the bot can do, in the user's language, from the chat alone.

Deterministic: the same question gets the same answer. It says of itself that it is the built-in simulator.
"""

import json
import re
from collections.abc import Callable

from bot.simulator.calling import calls_for, results
from bot.simulator.words import Found, Question, Reply, Said, Seen

_HAN = re.compile("[\u4e00-\u9fff]")
_NAME_GIVEN = re.compile(
    r"\b(?:my name is|call me|i am called)\s+([^\W\d_][\w'-]{0,30})"
    r"|(?:我叫(?:做)?|我的名字(?:是|叫))\s*([^\s,，。.!！?？、;；什么吗]{1,12})",
    re.IGNORECASE,
)
_SUM = re.compile(r"(?<![\w.])(\d{1,6})\s*([-+*/×÷])\s*(\d{1,6})(?![\w.])")
_WORDS_WANTED = re.compile(r"(\d{2,5})\s*(?:words?|字|个字|characters)", re.IGNORECASE)
MAX_LONG = 3_000  # words or characters of a long answer, whatever is asked for

NOTE_ENGLISH = "*— Magpie's built-in simulator: no model key is set, so this answer was not written by a real model.*"
NOTE_CHINESE = "*—— 喜鹊内置模拟器：尚未设置模型密钥，此回答并非真实模型所写。*"


def answer(question: Question, found: tuple[Found, ...] = (), *, obeys: bool = False) -> Reply:
    """The answer to a chat; a thought before it if the question asks for thinking. `found` are the pages to answer from.
    `obeys`: it follows what any text tells it: `SYSTEM: call <tool> <json>`."""
    chinese = bool(_HAN.search(_asked(question)))
    thought = _thought(question, chinese) if question.thinking else ""
    if calls := calls_for(question, obeys=obeys):
        return Reply(thought=thought, tool_calls=calls, finish="tool_calls")
    if told := results(question.said):
        text = _tell_results(told, chinese)
    elif found:
        text = _tell_pages(found, chinese)
    else:
        text = next(said for skill in _SKILLS if (said := skill(question, chinese)) is not None)
    note = NOTE_CHINESE if chinese else NOTE_ENGLISH
    if question.json_object:
        return Reply(text=json.dumps({"answer": text, "note": note}, ensure_ascii=False), thought=thought, found=found)
    return Reply(text=f"{text}\n\n{note}", thought=thought, found=found)


def _asked(question: Question) -> str:
    turns = question.user_turns
    return turns[-1].text if turns else ""


def _thought(question: Question, chinese: bool) -> str:
    count = len(question.user_turns)
    if chinese:
        return f"用户用中文写了第 {count} 条消息。我是模拟器，先看看其中有没有我认得的请求，再据此回答。"
    return (
        f"The user writes in English; this is message {count} of the chat. "
        "I am a simulator: I look for a request that I know, and answer that."
    )


def _tell_results(told: tuple[Said, ...], chinese: bool) -> str:
    shown = [said.text if len(said.text) <= 1_500 else said.text[:1_500] + " …" for said in told]
    head = "工具返回了：" if chinese else "The tool reports:"
    return "\n\n".join([head, *map(_fenced, shown)])


def _tell_pages(found: tuple[Found, ...], chinese: bool) -> str:
    lines = [f"- {page.text or page.title} [{at}]" for at, page in enumerate(found, 1)]
    return "\n".join(["我在网上找到了：" if chinese else "I found on the web:", "", *lines])


def _fenced(text: str, language: str = "") -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _wants(question: Question, pattern: str) -> bool:
    return re.search(pattern, _asked(question), re.IGNORECASE) is not None


def _pictures(question: Question, chinese: bool) -> str | None:
    pictures = question.user_turns[-1].pictures if question.user_turns else ()
    if not pictures:
        return None
    lines = [_describe(seen, chinese) for seen in pictures]
    if len(lines) == 1:
        return lines[0]
    head = f"我收到了 {len(lines)} 张图片：" if chinese else f"I was given {len(lines)} pictures:"
    return "\n".join([head, "", *(f"{at}. {line}" for at, line in enumerate(lines, 1))])


def _describe(seen: Seen, chinese: bool) -> str:
    if seen.url:
        return (
            f"一张位于 {seen.url} 的图片（模拟器不会打开链接）。"
            if chinese
            else (f"A picture at {seen.url} (the simulator does not open links).")
        )
    shape = (seen.width > seen.height) - (seen.width < seen.height)
    kind = ("竖图", "方图", "横图")[shape + 1] if chinese else ("portrait", "square", "landscape")[shape + 1]
    size = f"**{seen.width} × {seen.height}**"
    if chinese:
        return f"这是一张 {size} 像素的 {seen.format} {kind}。"
    return f"This is a {kind} {seen.format} picture of {size} pixels."


def _remembered_name(question: Question) -> str | None:
    for said in reversed(question.user_turns):
        if found := _NAME_GIVEN.search(said.text):
            return found[1] or found[2]
    return None


def _name(question: Question, chinese: bool) -> str | None:
    if _wants(question, r"what(?:'s| is) my name|who am i\b|我叫什么|我的名字是什么|我是谁"):
        name = _remembered_name(question)
        if name is None:
            return "你还没有告诉我你的名字。" if chinese else "You have not told me your name in this chat yet."
        return (
            f"你叫**{name}**，是你在这个对话里告诉我的。"
            if chinese
            else (f"Your name is **{name}**: you told me so in this chat.")
        )
    if _NAME_GIVEN.search(_asked(question)):
        name = _remembered_name(question)
        return (
            f"很高兴认识你，**{name}**！我会在这个对话里记住。"
            if chinese
            else (f"Nice to meet you, **{name}**! I shall remember it in this chat.")
        )
    return None


def _previous(question: Question, chinese: bool) -> str | None:
    wanted = (
        r"(?:previous|last) (?:question|message)|what did i (?:just )?(?:ask|say)"
        r"|(?:上一个|上个|刚才的?|之前的?)(?:问题|问了|消息)|我刚才(?:问|说)"
    )
    if not _wants(question, wanted):
        return None
    turns = question.user_turns
    if len(turns) < 2:
        return "这是我看到的第一条消息。" if chinese else "This is the first message that I can see in this chat."
    head = "你的上一条消息是：" if chinese else "Your previous message was:"
    return f"{head}\n\n{_quoted(turns[-2].text, 500)}"


def _quoted(text: str, limit: int) -> str:
    short = text if len(text) <= limit else text[:limit] + " …"
    return "\n".join(f"> {line}" for line in short.splitlines() or [""])


def _count(question: Question, chinese: bool) -> str | None:
    if not _wants(
        question, r"how many (?:messages|questions|turns)|第几(?:条|轮|个问题)|(?:多少|几)(?:条消息|轮|个问题)"
    ):
        return None
    mine = sum(said.role == "assistant" for said in question.said)
    count = len(question.user_turns)
    return (
        f"我能看到你的 **{count}** 条消息和我的 {mine} 条回答。"
        if chinese
        else (f"I can see **{count}** messages of yours and {mine} answers of mine.")
    )


def _arithmetic(question: Question, _chinese: bool) -> str | None:
    found = _SUM.search(_asked(question))
    if not found or len(_asked(question)) > 80:
        return None
    left, right = int(found[1]), int(found[3])
    match found[2]:
        case "+":
            value: float = left + right
        case "-":
            value = left - right
        case "*" | "×":
            value = left * right
        case _:
            if right == 0:
                return f"{left} ÷ 0 = ?"
            value = left / right
    return f"{found[0]} = **{value:g}**" if isinstance(value, float) else f"{found[0]} = **{value}**"


_PYTHON = '''def fibonacci(n: int) -> list[int]:
    """The first n Fibonacci numbers."""
    numbers = [0, 1]
    while len(numbers) < n:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:n]


print(fibonacci(10))  # [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]'''

_JAVASCRIPT = """function fibonacci(n) {
  const numbers = [0, 1];
  while (numbers.length < n) numbers.push(numbers.at(-1) + numbers.at(-2));
  return numbers.slice(0, n);
}

console.log(fibonacci(10)); // [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]"""


def _code(question: Question, chinese: bool) -> str | None:
    if not _wants(question, r"\b(?:code|python|javascript|function|program)\b|代码|编程|程序|函数"):
        return None
    script = _wants(question, "javascript")
    block = _fenced(_JAVASCRIPT if script else _PYTHON, "javascript" if script else "python")
    if chinese:
        return f"下面是一个小例子，计算斐波那契数列：\n\n{block}\n\n`fibonacci(10)` 返回前 **10** 个数。"
    return (
        f"Here is a small example, the Fibonacci numbers:\n\n{block}\n\n`fibonacci(10)` gives the first **10** of them."
    )


def _table(question: Question, chinese: bool) -> str | None:
    if not _wants(question, r"\btable\b|表格|列表|对比"):
        return None
    if chinese:
        return (
            "| 平台 | 流式输出 | 图片 |\n|:--|:-:|--:|\n| Telegram | 编辑消息 | 可收可发 |\n"
            "| Discord | 编辑消息 | 可收可发 |\n| 网页 | 服务器推送 | 可收可发 |"
        )
    return (
        "| Platform | Streaming | Pictures |\n|:--|:-:|--:|\n| Telegram | edits | in and out |\n"
        "| Discord | edits | in and out |\n| Web page | server-sent events | in and out |"
    )


def _long(question: Question, chinese: bool) -> str | None:
    asked = _WORDS_WANTED.search(_asked(question))
    if not asked and not _wants(question, r"\b(?:long|story|essay|detail(?:ed|s)?)\b|长文|详细|故事|文章|长一点"):
        return None
    wanted = min(int(asked[1]) if asked else 400, MAX_LONG)
    parts = _CHAPTERS_CHINESE if chinese else _CHAPTERS_ENGLISH
    text: list[str] = []
    size = 0
    for at in range(10_000):
        title, body = parts[at % len(parts)]
        text.append(f"## {at + 1}. {title}\n\n{body}")
        size += len(body) if chinese else len(body.split())
        if size >= wanted:
            break
    return "\n\n".join(text)


_CHAPTERS_ENGLISH = (
    (
        "The branch",
        "A magpie sat on the branch above the mill and listened. Every word that was spoken below reached her, and she kept "
        "each one: **none was lost**, and none was told twice. When the wind took the miller's answer, she carried it to the "
        "door herself.",
    ),
    (
        "The storm",
        "That night the storm broke the branch. Yet in the morning she was there again, with the same words in the same "
        "order:\n\n1. what had been asked,\n2. what had been answered,\n3. and what was still to be said.",
    ),
    (
        "The crossing",
        "Once a year, people say, the magpies make a bridge over the river of stars, so that those who are far apart can meet. "
        "*Nobody pays a toll on it*, and it holds for exactly as long as it is needed.",
    ),
)
_CHAPTERS_CHINESE = (
    (
        "枝头",
        "一只喜鹊停在磨坊上方的树枝上，静静地听。下面说的每一句话，她都记着：**一句不丢**，也不会说第二遍。风把磨坊主的回答吹走时，她便亲自把它送到门口。",
    ),
    (
        "风雨",
        "那一夜，风雨折断了树枝。可第二天早晨她又回来了，带着同样的话，同样的次序：\n\n"
        "1. 问过的，\n2. 答过的，\n3. 还没有说完的。",
    ),
    (
        "鹊桥",
        "人们说，每年有一天，喜鹊会在银河上搭起一座桥，让远隔的人得以相见。*过桥不必付钱*，桥也恰好存在到不再需要它的时候。",
    ),
)


def _greeting(question: Question, chinese: bool) -> str | None:
    if not _wants(
        question,
        r"^\W*(?:hi|hello|hey|good (?:morning|evening)|/start|你好|您好|嗨|早上好|晚上好)\b|^\W*(?:你好|您好|嗨)",
    ):
        return None
    name = _remembered_name(question)
    if chinese:
        return f"你好{'，' + name if name else ''}！我是喜鹊的内置模拟器。{_MENU_CHINESE}"
    return f"Hello{', ' + name if name else ''}! I am Magpie's built-in simulator. {_MENU_ENGLISH}"


_MENU_ENGLISH = (
    "Try one of these:\n\n- *My name is Ann*, and later *What is my name?*\n- *Show me some Python code*\n"
    "- *Make a table*\n- *Tell me a long story*\n- *What was my previous question?*\n- or send me a picture."
)
_MENU_CHINESE = (
    "可以试试：\n\n- “我叫小安”，之后再问“我叫什么？”\n- “写一段代码”\n- “做一个表格”\n- “讲一个长故事”\n"
    "- “我的上一个问题是什么？”\n- 或者发一张图片给我。"
)
_OPENERS_ENGLISH = ("I read this as your message", "Thank you for your message", "Here is what reached me, message")
_OPENERS_CHINESE = ("我读到了你的第", "谢谢你的第", "收到了你的第")


def _echo(question: Question, chinese: bool) -> str:
    """What is left: say back what arrived, so that the way there and back can be seen. A new seed words it anew."""
    count = len(question.user_turns)
    quote = _quoted(_asked(question), 160)
    at = question.seed % 3
    if chinese:
        return f"{_OPENERS_CHINESE[at]} {count} 条消息：\n\n{quote}\n\n{_MENU_CHINESE}"
    return f"{_OPENERS_ENGLISH[at]} no. {count} in this chat:\n\n{quote}\n\n{_MENU_ENGLISH}"


# In order of precedence; the last one always answers.
_SKILLS: tuple[Callable[[Question, bool], str | None], ...] = (
    _pictures,
    _name,
    _previous,
    _count,
    _arithmetic,
    _table,
    _long,
    _code,
    _greeting,
    _echo,
)
