"""What a call may cost and what it did cost, in millionths of a CNY. Pure.

A price of p CNY per million tokens is p millionths per token, so no factor appears below.
"""

from __future__ import annotations

import math
import string

from bot.messages import Usage
from bot.ports import ModelCard, Order, PicturePrompt, Prompt, SpeechPrompt, VideoPrompt

_LETTERS = (
    string.ascii_letters + " \n\t"
).encode()  # ordinary writing: byte-pair encodings take three and more as one token
_ASCII = bytes(range(128))
_PER_LINE = 8  # tokens of the template around each message
LONGEST_VIDEO = 15  # seconds, where neither order nor catalogue tell: no model makes longer ones
LONGEST_SOUND = 300.0  # seconds, where nobody knows: no model takes more
PICTURE_TOKENS = 16_384  # the most that either vendor's vision models count for one picture at their default resolution


def tokens(text: str) -> int:
    """How many tokens a text takes, from above: a third of its letters, every other ASCII character, and one for every three
    bytes of anything else (one per Chinese character, where the vendors' own rule of thumb is 0.6 to 1)."""
    data = text.encode("utf-8", "replace")
    others = data.translate(None, _LETTERS)
    foreign = len(others.translate(None, _ASCII))
    return math.ceil((len(data) - len(others)) / 3 + (len(others) - foreign) + foreign / 3)


def prompt_tokens(prompt: Prompt) -> int:
    """Of the whole prompt, from above, at most the model's window."""
    total = sum(tokens(line.text) + _PER_LINE + PICTURE_TOKENS * len(line.files) for line in prompt.lines)
    return min(total, prompt.card.window or total)


def chat_estimate(prompt: Prompt) -> int:
    """The most that this call may cost: the whole prompt and an answer as long as it may get."""
    if prompt.card.free:
        return 0
    return cost(prompt.card, Usage(prompt=prompt_tokens(prompt), completion=prompt.output))


def picture_estimate(prompt: PicturePrompt) -> int:
    return cost(prompt.card, Usage(pictures=prompt.count))


def video_estimate(prompt: VideoPrompt) -> int:
    """What it does cost: a video is as long as it was ordered, or as its model makes them."""
    seconds = prompt.seconds or next(iter(prompt.card.seconds), LONGEST_VIDEO)
    return cost(prompt.card, Usage(pictures=1)) + _by_second(prompt.card, seconds)


def order_estimate(order: Order) -> int:
    """The most that an order may cost."""
    match order:
        case PicturePrompt():
            return picture_estimate(order)
        case VideoPrompt():
            return video_estimate(order)
        case Prompt():
            return chat_estimate(order)


def speech_estimate(prompt: SpeechPrompt) -> int:
    """What it does cost: what is heard by its length, what is said by its characters."""
    if prompt.card.kind == "hear":
        return _by_second(prompt.card, prompt.seconds or LONGEST_SOUND)
    return math.ceil(round(prompt.card.per_picture * 1_000 * len(prompt.text), 6))


def cost(card: ModelCard, usage: Usage) -> int:
    """What the vendor charges for this usage, rounded up. Cached tokens are counted in full: their discount varies."""
    total = card.per_picture * 1_000_000 * usage.pictures
    if card.price:
        tier = next((tier for tier in card.price if usage.prompt <= tier[0]), card.price[-1])
        total += tier[1] * usage.prompt + tier[2] * usage.completion
    return math.ceil(round(total, 6))


def _by_second(card: ModelCard, seconds: float) -> int:
    return math.ceil(round(card.per_second * 1_000_000 * seconds, 6))
