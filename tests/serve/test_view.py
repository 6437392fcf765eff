"""The texts of the page, its curves, and its HTML without scripts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from luci_dl.serve.ledger import Ledger
from luci_dl.serve.status import status
from luci_dl.serve.view import TEMPLATE, View, filled, view
from tests.serve.stage import Pulled, Stage, digest, file

HOSTILE = "<script>alert('x')</script>\"'& \x1b[31m\u202egguf"


def view_of(stage: Stage, viewer_is_local: bool = False) -> View:
    facts = stage.facts()
    return view(status(facts, viewer_is_local), facts.account)


def html_of(stage: Stage) -> str:
    return filled({**view_of(stage), "host": "lab:8480", "origin": "http://lab:8480"})


class Texts(HTMLParser):
    """The texts of a page, without what templates, styles and scripts contain."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("template", "style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("template", "style", "script")

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.found.append(data.strip())


def test_the_page_says_everything_without_scripts() -> None:
    """Numbers in luci's own units, the files, and what is on its way for whom."""
    clients = [f"10.0.0.{n}" for n in range(5, 10)]
    stage = Stage(
        Ledger(lambda: 1000.0),
        [file("llama.gguf", 2_019_377_696, f"hf:O/R@{'5ab33fa9' * 5}/llama.gguf")],
        [Pulled("qwen.gguf", 20_000_000_000, 8_400_000_000, clients)],
    )
    stage.ledger.received(digest("qwen.gguf"), 8_400_000_000)
    stage.ledger.sent(digest("llama.gguf"), "10.0.0.9", 3 * 2_019_377_696)
    texts = Texts(html_of(stage)).found
    for text in (
        *("6.1\u00a0GB", "8.4\u00a0GB", "1 file, 2.0\u00a0GB", "llama.gguf", "hf:O/R@5ab33fa9/llama.gguf", "3\u00a0×"),
        *("2026-11-20", "qwen.gguf", "42%", "8.4\u00a0GB of 20\u00a0GB", "10.0.0.5, 10.0.0.6, 10.0.0.7 and 2 more"),
        "What is not here is fetched from https://huggingface.co. The Hub answers.",
    ):
        assert text in texts
    assert "luci config set lan http://lab:8480" in " ".join(texts)
    assert re.search(r"<noscript><meta http-equiv=\"refresh\"", TEMPLATE)


def test_hostile_names_are_text() -> None:
    """From a receipt, a client or an address."""
    stage = Stage(files=[file("a", 1, HOSTILE)], running=[Pulled("b", 9, 1, [HOSTILE], HOSTILE)])
    html = filled({**view_of(stage), "host": HOSTILE, "origin": HOSTILE})
    assert html.count("<script>") == 1
    assert "\x1b" not in Texts(html).found
    assert "\\x1b[31m\\u202egguf" in html


def test_a_template_in_a_name_stays_as_it_is() -> None:
    """Values are put in once."""
    stage = Stage(files=[file("a", 1, 'data-of="served">')])
    assert "data-of=&quot;served&quot;&gt;</small>" in html_of(stage)


def test_what_is_hidden_is_counted() -> None:
    stage = Stage(files=[file("a", 1, access="gated")])
    assert view_of(stage)["hidden"] == "1 file more is not public: only a browser on this server shows them."
    assert view_of(stage, viewer_is_local=True)["hidden"] == ""


@pytest.mark.parametrize(
    ("pull", "hub_state", "said"),
    [
        (False, "ok", "Only what is installed here is served."),
        (True, "away", "The Hub does not answer. What is here is served all the same."),
        (True, "unasked", "https://huggingface.co."),
    ],
)
def test_the_hub_is_as_it_is(pull: bool, hub_state: str, said: str) -> None:
    assert str(view_of(Stage(pull=pull, hub_state=hub_state))["hub"]).endswith(said)


@pytest.mark.parametrize(
    ("rate", "top", "half"),
    [
        (0, "1.0\u00a0MB/s", "500\u00a0kB/s"),
        (1_000_000, "1.0\u00a0MB/s", "500\u00a0kB/s"),
        (1_000_001, "2.0\u00a0MB/s", "1.0\u00a0MB/s"),
        (30_000_000, "50\u00a0MB/s", "25\u00a0MB/s"),
        (117_000_000, "200\u00a0MB/s", "100\u00a0MB/s"),
        (4_000_000_000, "5.0\u00a0GB/s", "2.5\u00a0GB/s"),
    ],
)
def test_the_axis_ends_at_a_round_number(rate: int, top: str, half: str) -> None:
    """Above the highest point of both curves."""
    now = [1000.0]
    stage = Stage(Ledger(lambda: now[0]))
    for _ in range(4):
        stage.ledger.sent(digest("a"), "c", rate)
        now[0] += 1
    shown = view_of(stage)
    assert (shown["top"], shown["half"]) == (top, half)
    heights = [int(height) for height in re.findall(r"(?<=\d )\d+", str(shown["lan_curve"]).partition("L")[2])]
    assert min(heights) >= 0
    assert str(shown["wan_curve"]).startswith("M-9")
