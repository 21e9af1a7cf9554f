"""The sockets by which we call others: they notice when the other end is gone without a word. Who is called is not known
here."""

from __future__ import annotations

import socket

# Seconds. A quiet connection is asked after `ASK` whether it lives, then every `AGAIN`; what has not been acknowledged for
# `GONE` ends it. Kernels answer for their programs, so that a model that thinks for minutes is not taken for dead, while a
# router that has forgotten the connection is found out before people give up.
ASK, AGAIN, GONE = 10, 5, 20

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, object]


def watchful_socket(address: AddressInfo) -> socket.socket:
    """For `aiohttp.TCPConnector(socket_factory=...)`."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", ASK),
        ("TCP_KEEPINTVL", AGAIN),
        ("TCP_KEEPCNT", (GONE - ASK) // AGAIN),
        ("TCP_USER_TIMEOUT", GONE * 1000),  # Linux alone has it: also for what was sent and is never acknowledged
    ):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
