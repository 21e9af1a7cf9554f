"""One sentence in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence in each language; `{names}` are filled in by `format`, phrases among them in the same language."""

    en: str
    zh: str

    def format(self, **values: object) -> Phrase:
        return Phrase(self.en.format(**_in("en", values)), self.zh.format(**_in("zh", values)))

    def to(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


def _in(language: Language, values: dict[str, object]) -> dict[str, object]:
    return {name: value.to(language) if isinstance(value, Phrase) else value for name, value in values.items()}
