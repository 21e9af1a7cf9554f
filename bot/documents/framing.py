"""How documents stand in a question: each under its file's name, before what is asked about them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.documents.document import display_name

_BEGIN, _END = "[file {name}]\n", "\n[end of {name}]"
_INSIDE = str.maketrans(
    "[]“”", "()''"
)  # of a name, which its sender chose: it ends neither its quotation marks nor the line


@dataclass(frozen=True, slots=True)
class Framed:
    """A document in a question."""

    name: str
    text: str

    def __str__(self) -> str:
        """With its frame, out of which no text can break."""
        end = _END.format(name=self.name)
        return f"{_BEGIN.format(name=self.name)}{self.text.replace(end, end.replace('[', '('))}{end}"


def unread(name: str, why: str) -> str:
    """The line that stands for a file which could not be read. It follows the documents, and is none."""
    return f"[Sent along, but it could not be read: “{display_name(name).translate(_INSIDE)}”. Reason: {why}]"


def unframed(question: str) -> tuple[tuple[Framed, ...], str]:
    """The documents of a question, and what is asked about them."""
    documents: list[Framed] = []
    while question.startswith("[file "):
        name, begun, rest = question.removeprefix("[file ").partition("]\n")
        text, ended, after = rest.partition(_END.format(name=name))
        if not begun or not ended:
            break
        documents.append(Framed(name, text))
        question = after.lstrip("\n")
    return tuple(documents), question


def shortened(question: str, most: int) -> str:
    """The question with the first `most` characters of each document; one without documents stays as it is."""
    documents, asked = unframed(question)
    if all(len(document.text) <= most for document in documents):
        return question
    cut = [
        Framed(document.name, f"{document.text[:most].rstrip()}\n[…]") if len(document.text) > most else document
        for document in documents
    ]
    return "\n\n".join([*map(str, cut), asked])
