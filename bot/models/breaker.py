"""When a vendor is not even asked: while it fails, while an account has no money, or a key that is not taken.

Breaking off gives a vendor in trouble a rest, and people an answer at once (or another model) instead of a minute's wait. A
circuit is closed (calls pass), open (all are refused), and after its time half-open: one call at a time tries, and closes it
or opens it for longer. No call is made only to try: the next question, [Retry] or
order after that time is the trial.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot import metrics
from bot.errors import WORDLESS, ModelError, Trouble
from bot.ports import ModelCard

log = logging.getLogger(__name__)

Clock = Callable[[], float]  # monotonic seconds

WITHIN = 60.0  # seconds: failures further apart are no row
MOST_MODELS = 100  # of which anything is remembered: `/model openai/...` may name any
TRIAL = 1.0  # seconds after which to come back while another call tries
OPEN = "breaker"  # our code for a call that was not made

FAILING = frozenset({Trouble.FAULT, Trouble.UNREACHABLE, Trouble.SILENT, Trouble.OVERLOADED})
UNTELLING = frozenset({Trouble.BUSY, Trouble.CUT})  # neither sick nor well; every other refusal shows a vendor at work


@dataclass(frozen=True, slots=True)
class Rule:
    """So many `failures` in a row open a circuit, for `first` seconds, after a failed trial for twice as long, up to
    `longest`."""

    failures: int
    first: float
    longest: float


# A hiccup is over in a second or two, and five failures are two questions with their tries. So `first` is the shortest wait
# before a third try (`tries`, FAULT): one who met the failures may try again. `longest` is what docs/reliability.md promises.
MODEL = Rule(5, 1.5, 30.0)
ACCOUNT = Rule(3, 60.0, 60.0)  # a key, or money: whoever has just paid presses [Retry] at once, or waits a minute


class Circuit:
    """One thing that may be out of order; `name` is for the owner's log."""

    def __init__(self, name: str, rule: Rule, clock: Clock) -> None:
        self.name = name
        self._rule = rule
        self.until: float | None = None  # when a trial may begin; None: closed
        self.error: ModelError | None = None  # the last failure
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=rule.failures)
        self._hold = rule.first
        self._trying = False

    @property
    def idle(self) -> bool:
        """Nothing would be forgotten with it."""
        past = self._clock() - WITHIN
        return (self.until or past) <= past and (not self._failures or self._failures[-1] <= past)

    def left(self) -> float | None:
        """Seconds until it is worth to ask again; None: now."""
        if self.until is None:
            return None
        left = self.until - self._clock()
        return left if left > 0 else TRIAL if self._trying else None

    def begin(self) -> bool:
        """A call begins, which `left` allowed: whether it is the trial."""
        self._trying = self.until is not None
        return self._trying

    def end(self) -> None:
        """The trial is over, whatever came of it."""
        self._trying = False

    def succeeded(self, *, trial: bool) -> None:
        """What began before the circuit opened, decides nothing any more."""
        if self.until is not None and not trial:
            return
        self._failures.clear()
        if self.until is not None:
            self.until, self._hold = None, self._rule.first
            metrics.breaker(self.name, is_open=False)
            log.warning("%s: answers again", self.name)

    def failed(self, error: ModelError, *, trial: bool) -> None:
        if self.until is not None and not trial:
            return
        now = self._clock()
        self.error = error
        self._failures.append(now)
        if trial:
            self._hold = min(2 * self._hold, self._rule.longest)
            self.until = now + self._hold
        elif len(self._failures) == self._rule.failures and now - self._failures[0] <= WITHIN:
            self.until = now + self._hold
            metrics.breaker(self.name, is_open=True)
            log.warning("%s: %s, again and again; not asked for %g s", self.name, error.trouble.value, self._hold)


class Breaker:
    """All circuits of one account: one for each model, one for its key, one for its money, which free models do not need."""

    def __init__(self, vendor: str, *, clock: Clock = time.monotonic) -> None:
        self._vendor = vendor
        self._clock = clock
        self._key = Circuit(f"{vendor} key", ACCOUNT, clock)
        self._money = Circuit(f"{vendor} money", ACCOUNT, clock)
        self._models: dict[str, Circuit] = {}

    def check(self, card: ModelCard) -> None:
        """Raises ModelError, of the trouble that opened a circuit, if this model is not to be asked now."""
        for circuit in self._circuits(card):
            left = circuit.left()
            if left is not None and circuit.error:
                raise _refusal(self._vendor, card, circuit.error, left)

    def begin(self, card: ModelCard) -> Call:
        """A call of the vendor begins. Raises as `check`."""
        self.check(card)
        return Call(card, self._model(card.name), self._key, self._money)

    def _circuits(self, card: ModelCard) -> list[Circuit]:
        return [self._key, self._model(card.name)] if card.free else [self._key, self._money, self._model(card.name)]

    def _model(self, name: str) -> Circuit:
        if name not in self._models:
            if len(self._models) >= MOST_MODELS:
                self._models = {name: one for name, one in self._models.items() if not one.idle}
            self._models[name] = Circuit(name, MODEL, self._clock)
        return self._models[name]


class Call:
    """One call that the breaker let through; what comes of it decides the circuits. `end` it, or a trial would never end."""

    def __init__(self, card: ModelCard, model: Circuit, key: Circuit, money: Circuit) -> None:
        self._free = card.free
        self._model, self._key, self._money = model, key, money
        self._trials = {one: one.begin() for one in ((model, key) if card.free else (model, key, money))}

    def succeeded(self) -> None:
        for circuit, trial in self._trials.items():
            circuit.succeeded(trial=trial)

    def failed(self, error: ModelError) -> None:
        trouble = error.trouble
        if trouble is Trouble.BAD_KEY:  # by other statuses it is only this model that the key may not use
            self._count(self._key if error.status == 401 else self._model, error)
        elif trouble is Trouble.NO_MONEY:
            self._count(self._model if self._free else self._money, error)
        elif trouble in FAILING and error.code not in WORDLESS:
            self._count(self._model, error)
        elif trouble not in UNTELLING:
            self.succeeded()

    def end(self) -> None:
        for circuit, trial in self._trials.items():
            if trial:
                circuit.end()

    def _count(self, circuit: Circuit, error: ModelError) -> None:
        circuit.failed(error, trial=self._trials[circuit])


def _refusal(vendor: str, card: ModelCard, last: ModelError, left: float) -> ModelError:
    error = ModelError(
        last.trouble,
        vendor=vendor,
        model=card.name,
        code=OPEN,
        retry_after=left,
        vendor_message=f"not asked, because of the last failures: {last}",
    )
    error.unbilled = True
    return error
