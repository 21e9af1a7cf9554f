"""GLM's and DashScope's HTTP protocols on one loopback port, as strict as the vendors, answered by a small demo mind.

The no-key mode and the tests talk to it through the real clients. `server` assembles; `glm`, `dashscope` speak the
protocols (their `_rules` check requests); `brain` answers, `calling` asks for functions, `searching` finds; `pictures`
draws, `films` films, `sounds` speaks; `faults`, `errors` say what may go wrong;
`backend`, `stream` carry it. It knows nothing of the bot.
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
