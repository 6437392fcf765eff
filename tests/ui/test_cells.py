"""Names of any script keep the width that was meant for them."""

from __future__ import annotations

import sys

import pytest
from rich.cells import cell_len

from luci_dl.ui.cells import cells, cut_middle, pad
from tests.ui.taps import Taps

NAMES = {
    "ASCII": ("mistral-7b.Q4_K_M.gguf", 22),
    "Chinese": ("模型-7B", 7),
    "decomposed Korean": ("\u1112\u1161\u11ab", 2),
    "decomposed Latin": ("cafe\u0301", 4),
    "a letter of many marks": ("e" + "\u0301" * 30, 1),
    "half-width Japanese": ("ｶﾀｶﾅ", 4),
    "emoji": ("🤗", 2),
    "a sign as emoji": ("⚠️", 2),
    "a flag": ("🇫🇷", 2),
}


@pytest.mark.parametrize(("text", "width"), NAMES.values(), ids=NAMES)
def test_text_is_measured_in_cells(text: str, width: int) -> None:
    """As terminals do, whatever the number of characters; padding fills up to a width."""
    assert cells(text) == cell_len(text) == width
    assert cell_len(pad(text, 30) + "|") == 31


def test_no_character_is_taken_for_narrower_than_rich_does() -> None:
    """Apart from the few that became wide after Python's tables were made; too few cells would make a line wrap."""
    printable = filter(str.isprintable, map(chr, range(sys.maxunicode + 1)))
    narrower = [char for char in printable if cells(char) < cell_len(char)]
    assert len(narrower) < 300
    assert not [char for char in narrower if char.isalpha()]


@pytest.mark.parametrize("width", range(24))
@pytest.mark.parametrize("name", [*(name * 5 for name, _ in NAMES.values()), "日本語モデル漢字漢字-7B-Q4_K_M.gguf"])
def test_a_cut_name_is_never_too_wide(name: str, width: int) -> None:
    """Nor is more cut off than what a wide character at each end needs."""
    cut = cut_middle(name, width)
    assert cell_len(cut) <= cells(cut) <= width
    assert cells(cut) >= min(cells(name), width) - 3


def test_a_cut_name_keeps_its_quant() -> None:
    """The middle is cut, and the end stays."""
    assert cut_middle("mistral-7b-instruct-v0.2.Q4_K_M.gguf", 24) == "mistral…v0.2.Q4_K_M.gguf"
    assert cut_middle("日本語モデル漢字漢字漢字漢字-7B-Q4_K_M.gguf", 24).endswith("字-7B-Q4_K_M.gguf")


def test_marks_stay_with_their_letter() -> None:
    """A cut never leaves a mark behind, which would change the character before it."""
    name = "e\u0301" * 20
    assert cut_middle(name, 8) == "e\u0301" * 2 + "…" + "e\u0301" * 5


def test_a_stream_fits_text_with_the_characters_that_it_has(ascii_taps: Taps, taps: Taps) -> None:
    """Escapes are measured as they are shown."""
    assert taps.output.err.fit("é" * 20, 10) == "ééé…éééééé"
    assert ascii_taps.output.err.fit("é" * 20, 10) == r"\x..e9\xe9"
