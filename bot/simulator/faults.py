"""What may go wrong, and when: scripted by whoever starts the simulator, never by what a user writes."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_type_hints

from bot.simulator.errors import refusal
from bot.simulator.words import Refusal, Reply

PictureFault = Literal["expired", "redirect", "huge"]
TaskFault = Literal["FAILED", "UNKNOWN", "partial", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted misbehaviour. The first group of fields says which calls it hits, the rest what happens.

    `path` is a part of the URL's path; `when` sees the parsed body; `times` None means every matching call,
    and the first `skip` of them pass.
    `code` is the vendor's business code, with its documented `status` and wording unless they are given. Errors, `cut` and
    `hang` strike before the response unless `after_chunks` (streamed steps) or `after_bytes` (of the body) says later;
    `after_chunks=0` means: after the headers, before the first token. Seconds throughout.
    """

    vendor: str | None = None
    path: str | None = None
    times: int | None = 1
    skip: int = 0
    when: Callable[[dict[str, object]], bool] | None = None

    code: str | None = None
    status: int = 0
    message: str = ""
    retry_after: float | None = None
    body: bytes | None = None  # sent verbatim with `status` as text/html: a gateway's error page
    after_chunks: int | None = None
    after_bytes: int | None = None
    cut: bool = False
    hang: bool = False
    finish: str | None = None  # the answer ends with this reason, after `after_chunks` if given

    drip: float | None = None  # slow loris: one byte per this many seconds
    bytewise: bool = False  # every byte is a write of its own
    crlf: bool = False
    comments: bool = False  # an SSE comment before every event
    no_usage: bool = False
    empty: bool = False
    only_thought: bool = False
    endless: bool = False

    picture: PictureFault | None = None
    location: str = ""  # where a redirected picture points; default: to itself, once
    task: TaskFault | None = None

    def matches(self, vendor: str, path: str, body: dict[str, object]) -> bool:
        return (
            (self.vendor is None or self.vendor == vendor)
            and (self.path is None or self.path in path)
            and (self.when is None or self.when(body))
            and (self.task is None or bool(body))  # it hits an order, not a look at one
        )

    def refusal(self, vendor: str) -> Refusal | None:
        if self.code is None:
            return None
        error = refusal(vendor, self.code, message=self.message, status=self.status)
        error.retry_after = self.retry_after
        return error

    @property
    def later(self) -> bool:
        """Whether it strikes after the response has begun."""
        return self.after_chunks is not None or self.after_bytes is not None

    def reshape(self, reply: Reply) -> Reply:
        """The answer as this fault leaves it."""
        if self.empty:
            return Reply(finish=self.finish or "stop")
        if self.only_thought:
            return Reply(thought=reply.thought or "Let me think about this …", finish=self.finish or "stop")
        if self.finish:
            return replace(reply, finish=self.finish)
        return reply


class Faults:
    """The scripted faults, in order; the first one that matches a call is used up by it."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._left: list[_Armed] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        self._left.append(_Armed(fault, fault.times, fault.skip))

    def clear(self) -> None:
        self._left.clear()

    def take(self, vendor: str, path: str, body: dict[str, object]) -> Fault | None:
        for armed in self._left:
            if not armed.fault.matches(vendor, path, body):
                continue
            if armed.skip:
                armed.skip -= 1
                continue
            if armed.times is not None:
                armed.times -= 1
                if armed.times < 1:
                    self._left.remove(armed)
            return armed.fault
        return None


@dataclass(slots=True, eq=False)
class _Armed:
    """A fault with what is left of its counts."""

    fault: Fault
    times: int | None
    skip: int


def parse_fault(text: str) -> Fault:
    """A fault as written on the command line: `vendor=glm,code=1302,times=3`, a flag by its name alone (`cut`).

    `times=*` means for ever. Raises ValueError with the reason.
    """
    kinds = get_type_hints(Fault)
    names = {field.name for field in fields(Fault)} - {"when", "body"}
    values: dict[str, object] = {}
    for item in text.split(","):
        name, given, value = (part.strip() for part in item.partition("="))
        if name not in names:
            raise ValueError(f"no fault has {name!r}; there are: {', '.join(sorted(names))}")
        values[name] = _value(kinds[name], value if given else "true")
    fault: Fault = Fault(**values)  # type: ignore[arg-type]  # each value was made by its field's own type
    if fault.code is not None and fault.vendor is None:
        raise ValueError("a code needs its vendor")
    if fault.code is not None:
        fault.refusal(fault.vendor or "")
    return fault


def _value(kind: object, text: str) -> object:
    wanted = [option for option in (get_args(kind) or (kind,)) if option is not type(None)]
    if text == "*":
        return None
    if bool in wanted:
        return text.lower() in {"true", "1", "yes"}
    if int in wanted:
        return int(text)
    if float in wanted:
        return float(text)
    choices = [choice for option in wanted for choice in get_args(option)] or [w for w in wanted if isinstance(w, str)]
    if choices and text not in choices:
        raise ValueError(f"{text!r} is none of {', '.join(map(str, choices))}")
    return text
