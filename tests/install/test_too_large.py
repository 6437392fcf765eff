"""The warning before a model that this machine cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.events import Event, Installed, Started, Warned
from luci_dl.install import too_large
from luci_dl.machine import fit
from luci_dl.machine.fit import REST, Machine
from luci_dl.machine.graphics import Graphics
from luci_dl.machine.memory import Memory
from tests.servers.hub import Hub

SIZE = 300_000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub with one model, and files that are none."""
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("LUCI_HOME", str(tmp_path / "home"))
        hub.add("me/m", {"m-Q8_0.gguf": make_gguf(SIZE), "data.bin": bytes(SIZE)})
        yield hub


def machine(monkeypatch: pytest.MonkeyPatch, memory: int, card: int | None = None) -> None:
    """Give luci a machine with so many bytes besides the rest that each model takes."""
    found = Memory(memory + REST)
    graphics = None if card is None else Graphics(1, Memory(card))
    monkeypatch.setattr(too_large, "main_memory", lambda: found)
    monkeypatch.setattr(fit, "this_machine", lambda: Machine(found, graphics))


def warnings(*words: str) -> list[str]:
    """Those of an install, all before the first byte."""
    events: list[Event] = []
    luci_dl.install(*words, emit=events.append)
    assert isinstance(events[-1], Installed)
    started = next((at for at, event in enumerate(events) if isinstance(event, Started)), len(events))
    assert not any(isinstance(event, Warned) for event in events[started:])
    return [event.message for event in events if isinstance(event, Warned)]


def test_what_neither_memory_nor_cards_can_hold_is_installed_with_a_warning(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: what is installed already is not mentioned again. In a dry run, too. No server is asked for it."""
    machine(monkeypatch, SIZE - 1)
    events: list[Event] = []
    luci_dl.forecast("hf:me/m", emit=events.append)
    (expected,) = [event.message for event in events if isinstance(event, Warned)]
    assert expected.startswith("hf:me/m does not fit this machine: it takes 300kB of weights + 537MB for the rest")
    asked = len(hub.seen("store"))
    assert warnings("hf:me/m") == [expected]
    assert len(hub.seen("store")) == asked + 1
    assert warnings("hf:me/m") == []


def test_what_can_run_gets_no_warning(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, or together with a card; the driver is not asked if memory is enough."""
    machine(monkeypatch, SIZE - 1, card=1)
    assert warnings("hf:me/m") == []
    luci_dl.remove("hf:me/m")
    machine(monkeypatch, SIZE)
    monkeypatch.setattr(fit, "this_machine", pytest.fail)
    assert warnings("hf:me/m") == []


def test_what_is_no_model_gets_no_warning(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0)
    assert warnings("hf:me/m/data.bin") == []
