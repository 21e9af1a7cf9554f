"""`python -m tests.torture.fuzz_guided TARGET SECONDS SEED CORPUS`: one target under atheris, which learns from the
branches that its bytes reach. A program of its own: libFuzzer ends the process that it runs in. Exit code 0: nothing was found.
"""

from __future__ import annotations

import sys


def main(target: str, seconds: str, seed: str, corpus: str) -> None:
    import atheris  # type: ignore[import-untyped, unused-ignore]  # no dependency: the campaign fetches it where it can

    with atheris.instrument_imports(include=["bot.text", "bot.lanes", "bot.files", "bot.models.sse", "bot.platforms"]):
        from tests.torture.fuzz_targets import TARGETS

    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=4096", "-rss_limit_mb=1024", "-timeout=20"]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={corpus}/", "-print_final_stats=1", corpus], TARGETS[target]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
