"""The JSON of /luci/v1/status, and what of it who may see."""

from __future__ import annotations

import json

import pytest

from luci_dl.errors import StorageError
from luci_dl.serve.ledger import Ledger
from luci_dl.serve.status import status
from tests.serve.stage import Pulled, Stage, digest, file


def test_the_status_is_what_clients_are_promised() -> None:
    """Every key, in plain JSON."""
    ledger = Ledger()
    stage = Stage(ledger, [file("a.gguf", 1000)], [Pulled("b.gguf", 500, 100, ["10.0.0.6", "10.0.0.5", "10.0.0.5"])])
    ledger.received(digest("b.gguf"), 100)
    ledger.sent(digest("a.gguf"), "10.0.0.9", 2500)
    found = json.loads(json.dumps(status(stage.facts(), viewer_is_local=False)))
    assert found.pop("now").startswith("20")
    assert found == {
        "v": 1,
        "since": "2026-11-27T09:12:00+00:00",
        "pull": True,
        "hub": {"address": "https://huggingface.co", "state": "ok"},
        "files": [
            {
                "sha256": digest("a.gguf"),
                "name": "a.gguf",
                "reference": "hf:O/R",
                "size": 1000,
                "installed": "2026-11-20T10:00:00+00:00",
                "sent": 2,
            }
        ],
        "fetching": [
            {
                "sha256": digest("b.gguf"),
                "name": "b.gguf",
                "reference": "hf:O/R",
                "size": 500,
                "done": 100,
                "rate": 0,
                "clients": ["10.0.0.5", "10.0.0.6"],
                "error": "",
            }
        ],
        "hidden": 0,
        "totals": {
            "wan_bytes": 100,
            "lan_bytes": 2500,
            "wan_rate": 0,
            "lan_rate": 0,
            "clients": 1,
            "copies_saved": 2400,
        },
    }


@pytest.mark.parametrize("access", ["gated", "unknown"])
def test_what_is_not_public_is_for_this_machine_alone(access: str) -> None:
    """Others see how many there are, and nothing of them."""
    stage = Stage(
        files=[file("open.gguf", 1), file("secret.gguf", 1, access=access)],  # type: ignore[arg-type]
        running=[Pulled("hidden.gguf", 1, access=access)],  # type: ignore[arg-type]
    )
    others, local = (status(stage.facts(), viewer_is_local) for viewer_is_local in (False, True))
    assert others["hidden"] == 2
    assert "secret" not in json.dumps(others)
    assert "hidden.gguf" not in json.dumps(others)
    assert local["hidden"] == 0
    assert [each["name"] for each in (*local["files"], *local["fetching"])] == [
        "open.gguf",
        "secret.gguf",
        "hidden.gguf",
    ]


def test_folders_of_this_machine_are_not_named_to_others() -> None:
    """An error may name them."""
    stage = Stage(running=[Pulled("a.gguf", 1, error=StorageError("cannot write /home/me/models/a.gguf"))])
    others, local = (status(stage.facts(), viewer_is_local)["fetching"][0] for viewer_is_local in (False, True))
    assert others["error"] == "the fetch failed"
    assert local["error"] == "cannot write /home/me/models/a.gguf"


def test_nothing_is_saved_before_more_is_sent_than_fetched() -> None:
    ledger = Ledger()
    ledger.received(digest("a"), 100)
    assert status(Stage(ledger).facts(), viewer_is_local=True)["totals"]["copies_saved"] == 0
