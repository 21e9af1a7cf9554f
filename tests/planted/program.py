"""`python -m tests.planted.program bot`: a program of ours with the bug that the environment names."""

from __future__ import annotations

import runpy
import sys

from tests.planted.bug import plant_named

if __name__ == "__main__":
    plant_named()
    program = sys.argv.pop(1)
    runpy.run_module(program, run_name="__main__", alter_sys=True)
