"""All planted bugs, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from tests.planted import answering, guarding, receiving, showing, spending, workers
from tests.planted.bug import Bug

ROOMS = (receiving, answering, showing, spending, workers, guarding)
BUGS: Mapping[str, Bug] = {bug.name: bug for room in ROOMS for bug in room.BUGS}
