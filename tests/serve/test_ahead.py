"""What the owner installed is served to others while the Hub is away, though nobody asked for it before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import receipt
from luci_dl.serve import ahead, documents
from tests.cli.shop import sha256
from tests.procs import wait_until
from tests.serve.lab import Lab, open_hub
from tests.servers.hub import Hub

DATA = make_gguf(300_000)
FILE = f"/luci/v1/files/{sha256(DATA)}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(ahead, "APART_S", 0.0)
    with open_hub(monkeypatch) as hub:
        hub.add("me/m", {"m.gguf": DATA, "config.json": b"{}"})
        yield hub


@pytest.fixture
def unknown(hub: Hub, models: Path) -> Path:
    """The model, installed as by a name of the catalog: nobody noted who may have it."""
    (path,) = luci_dl.install("hf:me/m/m.gguf", folder=models)
    (noted,) = (models / ".luci").rglob("*.receipt")
    known = receipt.read(noted)
    assert known
    receipt.write(noted, replace(known, access="unknown"))
    return path


def hidden(lab: Lab) -> int:
    """Files that the page does not show to another machine."""
    found: int = lab.get("/luci/v1/status", X_Forwarded_For="10.0.0.9").json["hidden"]
    return found


def asked(hub: Hub) -> list[str]:
    return [seen.target for seen in hub.seen("hub")]


def await_questions(hub: Hub, before: int) -> None:
    """Until all is asked that is asked ahead, and answered."""
    wait_until(lambda: any(target.endswith("/refs") for target in asked(hub)[before:]), what="the last question")


def test_what_was_installed_by_a_name_of_the_catalog(
    hub: Hub, unknown: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its digest and its name; on the page, too; and after a restart."""
    with Lab(monkeypatch, models) as lab:
        wait_until(lambda: hidden(lab) == 0, what="what the Hub says")
        hub.gone = True
        assert lab.get(FILE).body == DATA
        assert lab.get("/me/m/resolve/main/m.gguf").body == DATA
        assert hidden(lab) == 0
    with Lab(monkeypatch, models) as lab:
        assert lab.get(FILE).body == DATA
        assert lab.get("/api/models/me/m").status == 200
    assert unknown.read_bytes() == DATA


def test_what_is_not_public_is_not_given_away_by_that(
    hub: Hub, unknown: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while the Hub answers nor when it is away."""
    hub.repos["me/m"].gated = True
    before = len(asked(hub))
    with Lab(monkeypatch, models) as lab:
        await_questions(hub, before)
        for _ in range(2):
            assert lab.get(FILE, X_Forwarded_For="10.0.0.9").status == 401
            assert hidden(lab) == 1
            hub.gone = True
    assert unknown.read_bytes() == DATA


def test_the_hub_is_asked_once(hub: Hub, unknown: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it looks for new files, and however short an answer holds."""
    monkeypatch.setattr(ahead, "AGAIN_S", 0.02)
    monkeypatch.setattr(documents, "HOLD_S", 0.0)
    with Lab(monkeypatch, models) as lab:
        wait_until(lambda: hidden(lab) == 0, what="what the Hub says")
        count = len(asked(hub))
        time.sleep(0.5)
        assert len(asked(hub)) == count
