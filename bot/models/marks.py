"""Marks that some models leave in their text: a leading `<think>…</think>`, and the boxes around GLM's vision answers. Pure."""

from __future__ import annotations

from bot.messages import Text, Thought

_BOXES = ("<|begin_of_box|>", "<|end_of_box|>")
_OPEN, _CLOSE = "<think>", "</think>"


class Marks:
    """Takes an answer's deltas as they come, wherever they are cut, and gives them back without marks.

    `<think>` counts only at the very beginning: further in, the model writes *about* it.
    """

    def __init__(self) -> None:
        self._held = ""  # what may be the beginning of a mark
        self._state = "start"  # start, thinking, text

    def feed(self, delta: str) -> list[Text | Thought]:
        if self._state == "text" and not self._held and "<" not in delta:
            return [Text(delta)] if delta else []
        return self._take(self._held + delta, last=False)

    def end(self) -> list[Text | Thought]:
        """What was still held back."""
        return self._take(self._held, last=True)

    def _take(self, text: str, *, last: bool) -> list[Text | Thought]:
        parts: list[Text | Thought] = []
        self._held = ""
        if self._state == "start":
            begin = text.lstrip()
            if not last and _OPEN.startswith(begin[: len(_OPEN)]) and len(begin) < len(_OPEN):
                self._held = text
                return []
            if begin.startswith(_OPEN):
                self._state, text = "thinking", begin[len(_OPEN) :]
            else:
                self._state = "text"
        if self._state == "thinking":
            thought, closed, text = text.partition(_CLOSE)
            if closed:
                self._state, text = "text", text.lstrip("\n")
            elif not last:
                thought, self._held = _hold_back(thought, (_CLOSE,))
            if thought:
                parts.append(Thought(thought))
        if self._state == "text":
            for box in _BOXES:
                text = text.replace(box, "")
            if not last:
                text, self._held = _hold_back(text, _BOXES)
            if text:
                parts.append(Text(text))
        return parts


def _hold_back(text: str, marks: tuple[str, ...]) -> tuple[str, str]:
    """Split off an end that may be the beginning of one of the marks."""
    at = text.rfind("<", max(0, len(text) - max(map(len, marks)) + 1))
    if at >= 0 and any(mark.startswith(text[at:]) for mark in marks):
        return text[:at], text[at:]
    return text, ""
