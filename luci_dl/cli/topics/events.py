"""`luci help events`, from the classes of the events."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from luci_dl.cli.topics.json_types import keys_of, type_name
from luci_dl.cli.topics.layout import block, table, text
from luci_dl.events import Event, event_types


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from text(
        "A command that works prints events with --json, one per line, as they happen. `event` is the name of the "
        "event, the other keys are listed below; `luci help json` describes units and types. Python programs get the "
        "same events as classes of luci_dl.events."
    )
    yield from block('{"event": "deleted", "name": "model.gguf", "command": "install"}')
    yield from text(
        "Without --json, a result goes to stdout, progress is redrawn in place on a terminal, and a message goes to "
        "stderr. `name` of a file is always its path below the models folder."
    )
    yield from text(
        "`luci clean` ends with clean_summary, `luci verify` with verify_summary, an install of several models with "
        "summary. `luci doctor` and `luci demo` print a finding for each check. Any command can print failed and "
        "stopped."
    )
    for kind in event_types():
        yield from _event(kind)


def _event(kind: type[Event]) -> Iterator[str]:
    yield f"{kind.event_name()} ({kind.channel})"
    for paragraph in inspect.cleandoc(kind.__doc__ or "").split("\n\n"):
        yield from text(paragraph, 2)[:-1]
    keys = {key: hint for key, hint in keys_of(kind).items() if key != "channel"}
    yield from table(((key, type_name(hint)) for key, hint in keys.items()), indent=4)
