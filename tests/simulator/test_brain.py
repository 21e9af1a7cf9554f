import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simulator import Question, Reply, Said, Seen
from bot.simulator.brain import NOTE_CHINESE, NOTE_ENGLISH, answer


def chat(*texts: str) -> tuple[Said, ...]:
    """User and assistant in turn, the last one a user's."""
    return tuple(Said(role="assistant" if at % 2 else "user", text=text) for at, text in enumerate(texts))


def ask(*texts: str, **more: object) -> Reply:
    return answer(Question(model="m", said=chat(*texts), **more))  # type: ignore[arg-type]  # tests give legal fields


@pytest.mark.parametrize(
    ("first", "then", "name"),
    [
        ("Hi, my name is Ann.", "What is my name?", "Ann"),
        ("My name is Zoë and I like tea", "what's my name", "Zoë"),
        ("你好，我叫小安。", "我叫什么？", "小安"),
        ("我的名字是李雷", "我的名字是什么", "李雷"),
    ],
)
def test_it_remembers_a_name_told_earlier(first: str, then: str, name: str) -> None:
    assert f"**{name}**" in ask(first, "Nice to meet you!", then).text


def test_it_knows_no_name_in_a_new_chat() -> None:
    assert "not told me" in ask("What is my name?").text


def test_it_tells_the_previous_question_and_counts() -> None:
    assert "> Why is the sky blue?" in ask("Why is the sky blue?", "…", "What was my previous question?").text
    assert "**3**" in ask("a", "b", "c", "d", "How many messages do you see?").text


def test_it_answers_in_the_users_language_and_says_what_it_is() -> None:
    assert ask("Hello").text.endswith(NOTE_ENGLISH)
    assert ask("你好").text.endswith(NOTE_CHINESE)


def test_it_shows_code_tables_and_long_texts() -> None:
    assert "```python\n" in ask("Show me some Python code").text
    assert "```javascript\n" in ask("write JavaScript").text
    assert "|:--|:-:|--:|" in ask("做一个表格").text
    assert len(ask("Tell me a story in 2000 words").text) > 9_000
    assert len(ask("写一篇 1000 字的文章").text) > 1_000
    assert "= **96**" in ask("What is 12 * 8?").text


def test_it_describes_pictures_by_their_size() -> None:
    said = Said(role="user", text="What is this?", pictures=(Seen(640, 480, "PNG"),))
    assert "**640 × 480**" in answer(Question(model="m", said=(said,))).text


def test_it_calls_a_weather_tool_and_tells_its_result() -> None:
    question = Question(model="m", said=chat("What is the weather in Oslo?"), tools={"get_weather": ("city",)})
    reply = answer(question)
    assert (reply.finish, reply.tool_calls[0].name) == ("tool_calls", "get_weather")
    assert json.loads(reply.tool_calls[0].arguments) == {"city": "Oslo"}
    result = Said(role="tool", text="-3 °C, snow", tool_call_id=reply.tool_calls[0].id)
    told = answer(Question(model="m", said=(*question.said, result), tools=question.tools))
    assert "-3 °C, snow" in told.text
    assert not told.tool_calls


def test_a_new_seed_words_the_answer_anew() -> None:
    assert ask("Tell me about rivers", seed=0).text != ask("Tell me about rivers", seed=1).text


def test_it_thinks_only_when_asked_to_and_speaks_json_when_asked_to() -> None:
    assert ask("Hello").thought == ""
    assert ask("Hello", thinking=True).thought
    assert json.loads(ask("Hello in json", json_object=True).text)["answer"]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5).filter(lambda texts: len(texts) % 2 == 1))
def test_every_chat_gets_the_same_proper_answer_twice(texts: list[str]) -> None:
    assert ask(*texts) == ask(*texts)
    assert ask(*texts).finish == "stop"
    assert ask(*texts).text
