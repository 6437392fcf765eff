"""Staging files of any shape, by other users or later versions: no traceback, and the other files work."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luci_dl.cancel import CancelToken
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock_info import LockInfo
from luci_dl.events import Event, LeftAlone
from luci_dl.library.clean import clean
from luci_dl.library.installed import installed
from luci_dl.library.running import running
from luci_dl.library.verify import verify
from tests.disk.hands import KIB, gguf, held, install
from tests.procs import luci

DATA = gguf(8 * KIB)
ODD: list[Any] = [None, True, -5, 10**400, 1.5, "\ud800", "x" * 3000, [], ["m"], {}, "../x", "a/" * 2500 + "a"]


def put(folder: Path, facts: dict[str, Any], name: str) -> Path:
    path = staging_for(folder, name).receipt
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts))
    return path


def odd_receipts(folder: Path) -> Iterator[dict[str, Any]]:
    """A right one with a wrong value in one place, and some whose every value has the right type."""
    install(folder, (DATA, "good.gguf"))
    known = receipt.read(staging_for(folder, "good.gguf").receipt)
    assert known
    for key in asdict(known):
        if key != "v":
            yield from ({**asdict(known), "name": "odd", "files": ["odd"], key: value} for value in ODD)
    for name in ("x" * 300, "/".join("d" * 200 for _ in range(30)), "sub/" * 2000 + "x"):
        yield {**asdict(known), "name": name, "files": [name], "reference": "odd"}
    yield {**asdict(known), "name": "odd", "files": ["odd", "o" * 300], "reference": "odd", "installed": "\x1b[31m"}
    yield {**asdict(known), "v": 3}


def test_no_receipt_keeps_the_others_from_being_listed_and_verified(tmp_path: Path) -> None:
    """Whatever is in it."""
    for number, facts in enumerate(odd_receipts(tmp_path)):
        put(tmp_path, facts, f"{number}.gguf")
    models = installed([tmp_path])
    assert "good.gguf" in [model.reference for model in models]
    verdicts = verify(models, lambda _: None, CancelToken(), lambda _: None)
    assert [verdict.state for verdict in verdicts if verdict.name == "good.gguf"] == ["ok"]


def test_no_receipt_ends_a_command_with_a_traceback(home: Path) -> None:
    """Each command says what is wrong, or nothing."""
    models = home / "models"
    for number, facts in enumerate(odd_receipts(models)):
        put(models, facts, f"{number}.gguf")
    commands = ["list", "list --json", "verify", "path good.gguf", "info good.gguf", "status", "clean --dry-run"]
    for words in [*commands, "remove odd --yes", "install good.gguf --dry-run --offline", "doctor --offline", "clean"]:
        ended = luci(*words.split())
        assert "Traceback" not in ended.stderr, words
        assert ended.returncode in (0, 2, 3, 5, 6), words
    assert luci("path", "good.gguf").stdout == f"{models}/good.gguf\n"


def test_a_receipt_of_a_later_version_is_left_alone_and_reported(tmp_path: Path) -> None:
    """Its file may well be installed."""
    path = put(tmp_path, {"v": 3, "bytes": 5}, "later.gguf")
    events = list[Event]()
    clean(tmp_path, None, False, CancelToken(), events.append)
    assert [event.reason for event in events if isinstance(event, LeftAlone)] == [
        f"{path} has format 3, this luci knows format 2"
    ]
    assert path.exists()


def test_no_text_of_a_held_lock_ends_a_command_with_a_traceback(tmp_path: Path) -> None:
    """What it says is shown where it makes sense."""
    text = LockInfo("n", "m.gguf", 1, "host", "me", "2026-01-01T00:00:00+00:00", "luci install m", "m", "key")
    values = [*ODD, 0, 1 << 61, "\x1b[31m", "9999-12-31T23:59:59+00:00"]
    odd = [{**vars(text), "nonce": f"{key} {n}", key: value} for key in vars(text) for n, value in enumerate(values)]
    with contextlib.ExitStack() as stack:
        for number, facts in enumerate(odd):
            stack.enter_context(held(tmp_path, f"{number}.gguf"))
            staging_for(tmp_path, f"{number}.gguf").lock.write_text(json.dumps(facts))
        found = running([tmp_path])
        assert len(found) > 20
        for run in found:
            assert run.description.encode() is not None
        for words in ("status", "status --json", "clean"):
            ended = luci(*words.split(), "--dir", tmp_path)
            assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
