"""What a child process takes from itself before it looks at foreign bytes: memory, time, the network, other programs, files to
write. Where a system has no such limits (Windows), only the parent's clock is left."""

from __future__ import annotations

import contextlib
import signal
import sys

_GRACE = 1  # seconds after the parent's limit, when it seems to be gone
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile")


def confine(*, memory: int, cpu: int, wall: float) -> None:
    """`memory` in bytes of addresses, the others in seconds."""
    sys.addaudithook(_refuse)
    try:
        import resource
    except ImportError:
        return
    signal.setitimer(signal.ITIMER_REAL, wall + _GRACE)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(what, (most, most + 1 if what == resource.RLIMIT_CPU else most))


def _refuse(event: str, _: object) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(event)
