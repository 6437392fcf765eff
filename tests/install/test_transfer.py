"""One model, from what stands there to what is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

import luci_dl
from luci_dl.disk import commit
from luci_dl.disk.part import Part
from luci_dl.errors import Interrupted
from luci_dl.events import Event, Installed, Started
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left
from tests.servers import FaultyServer


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    return Shop(server, tmp_path / "catalog.toml")


@pytest.mark.parametrize("there", [[], ["m-1.gguf"]])
def test_what_vanishes_after_the_last_rename_does_not_fail_the_install(
    shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch, there: list[str]
) -> None:
    """Neither files that were fetched, nor those that were there before."""
    names = ["m-1.gguf", "m-2.gguf"]
    shop.sell("m", files=names)
    if there:
        luci_dl.install("m")
        (home / "models" / "m-2.gguf").unlink()
    settled, told = commit.settle_all, list[Event]()

    def settle_all(*args: object) -> None:
        settled(*args)  # type: ignore[arg-type]
        for name in names:
            (home / "models" / name).unlink()

    monkeypatch.setattr(commit, "settle_all", settle_all)
    assert luci_dl.install("m", emit=told.append) == [home / "models" / name for name in names]
    assert [event.size for event in told if isinstance(event, Installed)] == [2 * len(DATA)]


def test_a_cancellation_after_the_last_rename_changes_nothing(
    shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is installed; the next one is not started."""
    shop.sell("m")
    shop.sell("n", OTHER)
    token, settled = luci_dl.CancelToken(), commit.settle_all

    def settle_all(*args: object) -> None:
        token.cancel()
        settled(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "settle_all", settle_all)
    with pytest.raises(Interrupted):
        luci_dl.install("m", "n", token=token)
    assert_nothing_left(home / "models", "m.gguf")


def test_room_for_all_is_claimed_before_the_first_byte(shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each file is verified as soon as it is there."""
    names = ["m-1.gguf", "m-2.gguf", "m-3.gguf"]
    shop.sell("m", files=names)
    steps: list[str] = []
    opened, verified = Part.open, Part.verify

    def open_part(part: Part, *args: object) -> int:
        steps.append(f"open {part.artifact.name}")
        return opened(part, *args)  # type: ignore[arg-type]

    def verify(part: Part, token: luci_dl.CancelToken) -> str:
        steps.append(f"verify {part.artifact.name}")
        return verified(part, token)

    def emit(event: Event) -> None:
        if isinstance(event, Started):
            steps.append(f"fetch {event.name}")

    monkeypatch.setattr(Part, "open", open_part)
    monkeypatch.setattr(Part, "verify", verify)
    luci_dl.install("m", emit=emit)
    steps = list(dict.fromkeys(steps))
    assert steps[:3] == [f"open {name}" for name in names]
    assert all(steps.index(f"fetch {name}") < steps.index(f"verify {name}") for name in names)
    assert_nothing_left(home / "models", *names)
