"""`python -m tests.torture.fuzz_guided TARGET SECONDS SEED CORPUS`: one target under atheris, which learns from the
branches that its bytes reach. A program of its own: libFuzzer ends the process that it runs in. Exit code 0: nothing was found.
"""

from __future__ import annotations

import resource
import sys

MEMORY = 1024  # MB


def main(target: str, seconds: str, seed: str, corpus: str) -> None:
    # What a process had at most is inherited over fork and exec, and is what libFuzzer holds against its limit.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    import atheris  # type: ignore[import-untyped, unused-ignore]  # no dependency: the campaign fetches it where it can

    with atheris.instrument_imports(include=["bot.text", "bot.lanes", "bot.files", "bot.models.sse", "bot.platforms"]):
        from tests.torture.fuzz_targets import TARGETS

    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=4096", "-timeout=20"]
    options.append(f"-rss_limit_mb={MEMORY + inherited}")
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={corpus}/", "-print_final_stats=1", corpus], TARGETS[target]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
