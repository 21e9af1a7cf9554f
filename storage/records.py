"""How the words of the house are written into columns, and read again."""

from __future__ import annotations

import json
from typing import Any

from bot.messages import Address, Button, ChatKey, Finish, Finished, Media, Piece, Usage
from bot.ports import Card, Entry, Final
from storage.transaction import Record


def dump_address(address: Address) -> str:
    return json.dumps([address.reply_to, address.via, address.group])


def load_address(chat: str, text: str) -> Address:
    """The chat is that of the row: a chat may have moved since the address was written."""
    reply_to, via, group = json.loads(text) if text else ("", "", False)
    return Address(ChatKey.parse(chat), reply_to, via, group)


def dump_piece(piece: Piece) -> str:
    one = piece.media
    media = one and [one.file, one.mime, one.caption, one.slot, one.seconds, one.waveform]
    buttons = [[[button.label, button.id] for button in row] for row in piece.buttons]
    return json.dumps([piece.body, piece.marks, media, buttons], ensure_ascii=False)


def load_piece(text: str) -> Piece:
    body, marks, media, buttons = json.loads(text)
    return Piece(
        body, marks, Media(*media) if media else None, tuple(tuple(Button(*b) for b in row) for row in buttons)
    )


def load_final(row: Record) -> Final:
    surplus = row["state"] == "surplus"
    return Final(
        turn=row["turn"],
        slot=row["slot"],
        number=row["number"],
        piece=Piece("") if surplus else load_piece(row["piece"]),
        id=row["message"],
        generation=row["generation"],
        surplus=surplus,
        whole=row["finish"] == "command",
    )


def dump_report(finished: Finished, first: float, seconds: float) -> str:
    usage = finished.usage
    return json.dumps(
        {
            "reason": finished.reason.value,
            "usage": [usage.prompt, usage.completion, usage.cached, usage.pictures, usage.estimated],
            "model": finished.model,
            "request_id": finished.request_id,
            "status": finished.status,
            "code": finished.code,
            "vendor_message": finished.vendor_message,
            "cost": finished.cost,
            "job": finished.job,
            "first": first,
            "seconds": seconds,
        },
        ensure_ascii=False,
    )


def load_report(text: str) -> tuple[Finished, float, float]:
    """(how it ended, seconds to the first text, seconds in all)"""
    report: dict[str, Any] = json.loads(text)
    first, seconds = report.pop("first"), report.pop("seconds")
    reason, usage = Finish(report.pop("reason")), Usage(*report.pop("usage"))
    return Finished(reason=reason, usage=usage, **report), first, seconds


def dump_names(names: tuple[str, ...]) -> str:
    return "\n".join(names)


def load_names(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


def load_entry(row: Record) -> Entry:
    return Entry(
        id=row["id"],
        parent=row["parent"],
        turn=row["turn"],
        epoch=row["epoch"],
        role=row["role"],
        text=row["text"],
        author=row["author"],
        files=load_names(row["files"]),
    )


def load_card(row: Record) -> Card:
    return Card(
        chat=row["chat"],
        id=row["id"],
        role=row["role"],
        body=row["body"],
        created=row["created"],
        version=row["version"],
        media=row["media"],
        mime=row["mime"],
        buttons=tuple(tuple((b[0], b[1]) for b in line) for line in json.loads(row["buttons"])),
        done=bool(row["done"]),
        removed=bool(row["removed"]),
        files=load_names(row["files"]),
    )
