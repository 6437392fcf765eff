from __future__ import annotations

import json
from dataclasses import asdict

from luci_dl.events import Failed
from luci_dl.ui.jsonl import JsonLines
from tests.ui.samples import LLAMA, samples
from tests.ui.taps import Taps


def test_each_event_is_one_json_line_with_all_its_fields(taps: Taps) -> None:
    """A program that reads stdout gets everything and nothing else."""
    renderer = JsonLines(taps.output)
    sent = samples("caf\xe9\x1b[2J\u2028.gguf")
    for event in sent:
        renderer(event)
    renderer.close()
    text = taps.out()
    assert text.isascii()
    objects = [json.loads(line) for line in text.splitlines()]
    assert [each.pop("event") for each in objects][:3] == ["planned", "waiting", "started"]
    assert objects == [json.loads(json.dumps(asdict(event))) for event in sent]


def test_names_of_events_are_in_snake_case(taps: Taps) -> None:
    """NotDeleted is not_deleted."""
    renderer = JsonLines(taps.output)
    for event in samples():
        renderer(event)
    kinds = {json.loads(line)["event"] for line in taps.out().splitlines()}
    assert {"not_deleted", "rolled_forward", "left_alone", "progress"} <= kinds


def test_errors_are_also_shown_in_words(taps: Taps) -> None:
    """A person who sees only stderr learns why it failed."""
    JsonLines(taps.output)(Failed(LLAMA, "no such model", "try tinyllama", 3))
    assert taps.err() == "❌ no such model\n   try tinyllama\n"
