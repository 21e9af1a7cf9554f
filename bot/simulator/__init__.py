"""GLM's and DashScope's HTTP protocols on one loopback port, as strict as the vendors, answered by a small demo mind.

The no-key mode and the tests talk to it through the real clients. `server` assembles; the `glm` and `dashscope` files speak
the protocols (`_rules` check requests, with `shapes`); `brain` answers, in the `words` between it and them, `calling` asks for
functions, `searching` finds; `pictures` draws, `films` films, `sounds` speaks; `models` are those that it knows; `faults`,
`errors` say what may go wrong; `backend`, `stream` carry it. It knows nothing of the bot.
"""

from bot.simulator.backend import Call, Upload
from bot.simulator.faults import Fault
from bot.simulator.server import API_KEY, Simulator
from bot.simulator.words import Found, Question, Refusal, Reply, Said, Seen, ToolCall, Usage

__all__ = [
    "API_KEY",
    "Call",
    "Fault",
    "Found",
    "Question",
    "Refusal",
    "Reply",
    "Said",
    "Seen",
    "Simulator",
    "ToolCall",
    "Upload",
    "Usage",
]
