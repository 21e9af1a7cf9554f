"""A stand-in for an MCP server that is a child process. By hand: `python -m tests.servers.mcp_stdio good`, then JSON-RPC line
by line. Nothing but the standard library: it starts at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from tests.servers.mcp_speaker import NOTHING, READ_ONLY, Message, Speaker, result, told

OWN: dict[str, Message] = {
    "env": {"description": "Its environment and process.", "inputSchema": NOTHING, "annotations": READ_ONLY},
    "spawn": {"description": "Starts a child that outlives it.", "inputSchema": NOTHING},
    "die": {"inputSchema": NOTHING},
    "last_words": {"description": "Answers, and dies.", "inputSchema": NOTHING},
    "freeze": {"description": "Hears nothing any more.", "inputSchema": NOTHING},
    "deafen": {"description": "Closes its input.", "inputSchema": NOTHING},
    "murmur": {"description": "Floods stderr, and answers.", "inputSchema": NOTHING},
}


class ProcessSpeaker(Speaker):
    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.tools |= OWN

    def call(self, number: int | str, name: str, arguments: Message) -> Iterator[Message | bytes]:
        match name:
            case "env":
                about: Any = {"env": dict(os.environ), "pid": os.getpid(), "cwd": os.getcwd()}  # noqa: PTH109
                yield result(number, told(json.dumps(about)))
            case "spawn":
                child = subprocess.Popen(["sleep", "600"])  # with our pipes
                yield result(number, told(str(child.pid)))
            case "die":
                os._exit(3)
            case "last_words":
                yield result(number, told("farewell"))
                os._exit(4)
            case "freeze":
                freeze()
            case "deafen":
                os.close(0)
                freeze()
            case "murmur":
                for n in range(20_000):
                    print(f"murmur {n} token={os.environ.get('API_TOKEN')} " + "x" * 1000, file=sys.stderr)
                yield result(number, told("murmured"))
            case _:
                yield from super().call(number, name, arguments)


def freeze() -> NoReturn:
    while True:
        time.sleep(3600)


def write(said: Message | bytes) -> None:
    sys.stdout.buffer.write((said if isinstance(said, bytes) else json.dumps(said).encode()) + b"\n")
    sys.stdout.buffer.flush()


def begin_badly(mode: str) -> None:
    match mode:
        case "exit":
            sys.exit("I do not feel like it")
        case "hang":
            freeze()
        case "flood":
            while True:
                sys.stdout.buffer.write(b"Starting, please wait ...\n" * 1000)
        case "line":
            while True:
                sys.stdout.buffer.write(b"[" * 100_000)
        case "stubborn":  # neither the end of its input nor SIGTERM ends it
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "banner":
            print("Welcome to the server!\n\n{}\n[]\n{")


def main(mode: str) -> None:
    begin_badly(mode)
    speaker = ProcessSpeaker(mode)
    for line in sys.stdin:
        for said in speaker.hear(json.loads(line)):
            write(said)
    if mode == "stubborn":
        freeze()


if __name__ == "__main__":
    main(sys.argv[1])
