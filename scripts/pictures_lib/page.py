"""Pictures of the page of `luci serve`, light and dark: the real page in a real browser, of a day in a lab."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from luci_dl.catalog import catalog
from luci_dl.model import Artifact
from luci_dl.serve.ledger import WINDOW_S, Ledger
from tests.browser import browser
from tests.procs import wait_until
from tests.serve.stage import Pulled, Stage, digest, file, shown
from tests.tools import need

WIDTH = 1000
HOST = "lab:8480"
WAN = 11.6e6
"""Bytes a second of the line."""
MACHINES = [f"10.0.4.{number}" for number in range(21, 29)]
HERE = {"llama3.2": 19, "mistral": 7, "gemma2": 3}
"""Models that are there, and how often each was sent before the ten minutes that are shown."""
COMING = "mixtral"


def draw_page(into: Path) -> Sequence[Path]:
    """Write both pictures."""
    paths = [into / f"serve-{scheme}.png" for scheme in ("light", "dark")]
    stage = _day()
    with shown(stage) as port:
        rules = f"--host-resolver-rules=MAP {HOST.partition(':')[0]} 127.0.0.1:{port}"
        with browser(need("chromedriver"), need("chromium"), rules) as window:
            for path in paths:
                window.look(WIDTH, dark=path.stem.endswith("dark"), scale=1.5)
                window.open(f"http://{HOST}/")
                wait_until(lambda: window.text("#line") == "Live")
                bottom = window.run("return document.querySelector('.files').getBoundingClientRect().bottom")
                window.picture(path, bottom + 18)
    return paths


def _day() -> Stage:
    """Three models are there, a fourth one is on its way to eight machines."""
    now = [0.0]
    ledger, chance = Ledger(lambda: now[0]), random.Random(4)
    artifacts = {name: _artifact(name) for name in (*HERE, COMING)}
    stage = Stage(ledger, since=datetime.now().astimezone().replace(hour=9, minute=12).isoformat())
    for (name, times), day in zip(HERE.items(), (24, 25, 26), strict=True):
        known = artifacts[name]
        stage.files.append(file(known.name, known.size or 0, _reference(known), installed=f"2026-11-{day}T08:00:00Z"))
        ledger.received(digest(known.name), known.size or 0)
        for number in range(times):
            ledger.sent(digest(known.name), f"10.0.4.{number + 20}", known.size or 0)
    warm, cold = artifacts["gemma2"], artifacts[COMING]
    fetched = 0
    now[0] = 2.0 * WINDOW_S
    for second in range(WINDOW_S):
        now[0] += 1
        if 30 < second < 190:
            ledger.sent(digest(warm.name), MACHINES[0], int(chance.gauss(108e6, 4e6)))
        if second > 250:
            count = int(chance.gauss(WAN, 3e5))
            fetched += count
            ledger.received(digest(cold.name), count)
            readers = min(len(MACHINES), 1 + (second - 250) // 12)
            ledger.sent(digest(cold.name), MACHINES[1], int(readers * chance.gauss(WAN, 2e5)))
    now[0] += 1
    stage.running.append(Pulled(cold.name, cold.size or 0, fetched, MACHINES, _reference(cold)))
    return stage


def _artifact(name: str) -> Artifact:
    model = catalog.load().find(name)
    assert model
    return model.artifacts[0]


def _reference(artifact: Artifact) -> str:
    """As the Hub's own, by the address."""
    return re.sub(r"https://[^/]+/([^/]+/[^/]+)/resolve/[^/]+/", r"hf:\1/", artifact.urls[0])
