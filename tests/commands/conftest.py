"""A chat with models of every kind, on a store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import open_store
from storage.store import Store
from tests.conversations import STUDIO, Conversation, ScriptedModels


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/magpie.db") as opened:
        yield opened


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels(STUDIO)


@pytest.fixture
def chat(store: Store, models: ScriptedModels) -> Conversation:
    return Conversation(store, models)
