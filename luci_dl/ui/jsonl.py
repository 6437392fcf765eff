"""For programs: one event per line, as JSON. `luci help json` and `luci help events` describe it."""

from __future__ import annotations

import json
from dataclasses import fields

from luci_dl.events import Event, Failed
from luci_dl.ui.describe import describe
from luci_dl.ui.render_thread import Renderer
from luci_dl.ui.stream import Output


class JsonLines(Renderer):
    """Each event as one JSON object on its own line of stdout; errors also in words on stderr."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: Event) -> None:
        self._output.out.write(f"{as_json(event)}\n")
        if isinstance(event, Failed):
            self._output.say(describe(event))


def as_json(event: Event) -> str:
    """`{"event": "not_deleted", ...}` with every field of the event, in ASCII."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return json.dumps({"event": event.event_name()} | values)
