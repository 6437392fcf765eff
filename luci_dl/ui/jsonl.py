"""For programs: one event a line, as JSON. What holds for all of `--json` stands in cli/facts.py."""

from __future__ import annotations

import json
import re
from dataclasses import fields

from luci_dl.events import Event, Failed
from luci_dl.ui.describe import words
from luci_dl.ui.stream import Output


class JsonLines:
    """Each event as one JSON object on its own line; errors in words, too, beside them."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: Event) -> None:
        self._output.out.write(f"{as_json(event)}\n")
        if isinstance(event, Failed):
            self._output.say(words(event))

    def close(self) -> None:
        """There is nothing to put in order."""


def as_json(event: Event) -> str:
    """`{"event": "not_deleted", ...}` with every field of the event, in ASCII."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return json.dumps({"event": kind} | {field.name: getattr(event, field.name) for field in fields(event)})
