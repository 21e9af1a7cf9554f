"""What this process has claimed: how many turns it may claim besides, which chats they are of, and when none is left."""

from __future__ import annotations

import asyncio

from bot.messages import ChatKey
from bot.ports import Claim


class Claims:
    """A turn holds its slot until it is completed (`free`), and is counted until it is shown as well (`quiet`): a chat that may
    not be shown anything for an hour blocks nobody. `arrived`: it is worth claiming, for something waits or a slot is free."""

    def __init__(self, at_once: int) -> None:
        self.arrived = asyncio.Event()
        self._at_once = at_once
        self._idle = asyncio.Event()
        self.forget()

    def forget(self) -> None:
        """A life begins: none is ours."""
        self.free = self._at_once
        self._busy = 0
        self.turns: set[int] = set()
        self._behind: dict[ChatKey, bool] = {}  # the chats being worked on; whether more waits in them

    @property
    def busy(self) -> bool:
        """Some are not completed, or not shown."""
        return self._busy > 0

    def add(self, claim: Claim) -> None:
        self.free -= 1
        self._busy += 1
        self.turns.add(claim.turn)
        self._behind[claim.chat] = claim.more

    def waits(self, chat: ChatKey) -> None:
        """There is more in this chat; in one of ours it can be claimed only when its turn is completed."""
        if chat in self._behind:
            self._behind[chat] = True
        else:
            self.arrived.set()

    def completed(self, claim: Claim) -> None:
        self.turns.discard(claim.turn)
        self.free += 1
        if self._behind.pop(claim.chat, True) or self.free == 1:
            self.arrived.set()

    def done(self) -> None:
        """One that was completed is shown, or left to be shown later."""
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def quiet(self, seconds: float) -> bool:
        """Wait until none is left; False when some are after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._busy:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True
