"""What is installed here is asked about before anybody asks for it, so that it can be served when the Hub is away."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from luci_dl.errors import LuciError
from luci_dl.serve.desk import Desk, place_at

APART_S = 2.0
"""Between two repositories, so that the Hub does not take it for a flood."""
AGAIN_S = 60.0
"""How often it looks for new files, and asks again what the Hub did not answer."""


class Ahead:
    """Asks the Hub, one repository after the other, while the server runs. In the event loop's thread only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._task: asyncio.Task[None] | None = None

    def tend(self) -> None:
        """Begin, if it has not begun. It ends with the event loop."""
        self._task = self._task or asyncio.create_task(self._run())

    async def _run(self) -> None:
        asked = set[tuple[str, str]]()
        while True:
            with suppress(LuciError):  # of the disk
                for place in await asyncio.to_thread(self._places) - asked:
                    await self._ask(place)
                    if self._desk.documents.state != "away":
                        asked.add(place)
                    await asyncio.sleep(APART_S)
            await asyncio.sleep(AGAIN_S)

    async def _ask(self, place: tuple[str, str]) -> None:
        with suppress(LuciError):
            await self._desk.documents.ask_ahead(*place)
            await self._desk.learn(*place)

    def _places(self) -> set[tuple[str, str]]:
        """The repository and revision of each file that is here and not gated.

        Raises: StorageError.
        """
        hub, files = self._desk.upstream.endpoints.hub, self._desk.shelf.files()
        places = {place_at(file.url, hub) for file in files if file.access != "gated"}
        return {place for place in places if place}
