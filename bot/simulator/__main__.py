"""`python -m bot.simulator --port 9100`: the simulator by itself, with a pace and faults of one's choice."""

import argparse
import asyncio
import signal
import sys

from bot.simulator.faults import Fault, parse_fault
from bot.simulator.server import Simulator
from bot.simulator.words import Question, Reply


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=9100, help="0: any free one (default 9100)")
    parser.add_argument("--first-token", type=float, default=0.25, metavar="SECONDS")
    parser.add_argument("--per-token", type=float, default=0.02, metavar="SECONDS")
    parser.add_argument("--picture", type=float, default=1.0, metavar="SECONDS", help="that drawing takes")
    parser.add_argument("--picture-life", type=float, default=86_400, metavar="SECONDS", help="of a picture's link")
    parser.add_argument(
        "--task", type=float, default=2.0, metavar="SECONDS", help="until a later answer or a video is there"
    )
    parser.add_argument("--tokens", type=int, metavar="N", help="every answer has exactly N tokens, for load runs")
    parser.add_argument("--max-in-flight", type=int, metavar="N", help="refuse more calls at once, per vendor")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME=VALUE,…",
        help="e.g. vendor=glm,code=1302,times=3 or path=chat,cut,after_chunks=5; times=* for ever; see bot/simulator/faults.py",
    )
    return parser.parse_args(arguments)


def constant(tokens: int) -> Reply:
    """An answer of exactly this many tokens."""
    return Reply(chunks=tuple(f"word{at} " for at in range(tokens)))


async def run(options: argparse.Namespace) -> None:
    reply = None if options.tokens is None else constant(options.tokens)

    def script(_question: Question) -> Reply | None:
        return reply

    simulator = Simulator(
        port=options.port,
        first_token=options.first_token,
        per_token=options.per_token,
        picture=options.picture,
        picture_life=options.picture_life,
        task=options.task,
        script=script,
        faults=options.fault,
        max_in_flight=options.max_in_flight,
        keep_calls=0,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with simulator as sim:
        sys.stdout.write(
            f"ZHIPUAI_BASE_URL={sim.glm_url}\nZHIPUAI_API_KEY={sim.api_key}\n"
            f"DASHSCOPE_HTTP_BASE_URL={sim.dashscope_url}\nDASHSCOPE_API_KEY={sim.api_key}\n"
        )
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(parse()))
