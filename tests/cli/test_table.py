"""Tables are complete in a pipe, and as wide as the terminal for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from luci_dl.cli import status
from luci_dl.cli.table import SHORTEST, table
from luci_dl.library.running import Running
from tests.cli.shop import Shop
from tests.procs import Spawned, luci
from tests.ui.samples import GB
from tests.ui.taps import Taps, Terminal

ROWS = [
    ("NAME", "LICENSE", "HERE", "ALIASES"),
    ("a-model-of-twenty-ab", "other (microsoft-research-license)", "yes", "another-name, and-one-more"),
    ("b", "mit", "", ""),
]


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (200, ["NAME", "LICENSE", "HERE", "ALIASES"]),
        (80, ["NAME", "LICENSE", "HERE", "ALIASES"]),
        (60, ["NAME", "LICENSE", "HERE"]),
        (40, ["NAME", "LICENSE", "HERE"]),
        (10, ["NAME", "LICENSE"]),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(columns: int, titles: list[str]) -> None:
    """The flexible column is cut first, as long as it stays readable; the names are never cut."""
    terminal = Terminal(columns)
    try:
        rows = table(ROWS, terminal.output.out, (1,), optional=(2, 3))
    finally:
        terminal.close()
    assert rows[0].split() == titles
    assert max(map(len, rows)) <= max(columns, 20 + 2 + SHORTEST)
    assert all(row.startswith(name) for row, (name, *_) in zip(rows, ROWS, strict=True))
    license = rows[1][22:].partition("  ")[0]
    assert (license == ROWS[1][1]) == (columns == 200)
    assert len(license) >= SHORTEST
    assert license.endswith("nse)")


@pytest.mark.parametrize("columns", [120, 80, 60, 40])
def test_names_and_files_are_worth_more_than_days(columns: int) -> None:
    """They share the width; the day of the install is left out before much of them is cut, and no row wraps."""
    name, file = "hf:bartowski/Llama-3.2-3B-Instruct-GGUF", "bartowski/Llama-3.2-3B-Instruct-GGUF/Llama-Q4_K_M.gguf"
    rows = [("NAME", "DAY", "FILE"), (name, "2026-11-22", file), ("short", "2026-11-21", "short-Q8_0.gguf")]
    terminal = Terminal(columns)
    try:
        title, long, short = table(rows, terminal.output.out, (0, -1), optional=(1,), kept=40)
    finally:
        terminal.close()
    assert title.split() == (["NAME", "DAY", "FILE"] if columns == 120 else ["NAME", "FILE"])
    assert max(map(len, (title, long, short))) <= columns
    assert long.endswith("-Q4_K_M.gguf")
    assert short.split()[-1] == "short-Q8_0.gguf"
    assert (name in long, file in long) == (columns >= 80, columns == 120)


@pytest.mark.parametrize(("columns", "encoding"), [(80, "utf-8"), (40, "utf-8"), (20, "utf-8"), (40, "ascii")])
@pytest.mark.parametrize("name", ["日本語モデル漢字漢字漢字漢字-7B", "e\u0301" * 30, "🤗-Q4_K_M"])
def test_columns_stay_in_line_whatever_the_script(name: str, columns: int, encoding: str) -> None:
    """Names are measured in the columns that they take, escapes included, and cut so that no row wraps."""
    terminal = Terminal(columns, encoding=encoding)
    try:
        rows = table([("NAME", "SIZE"), (name, "2.0GB"), ("short", "1B")], terminal.output.out, (0,))
        terminal.output.results(rows)
        terminal.read()
    finally:
        terminal.close()
    assert len({cell_len(row.rpartition(" ")[0]) for row in rows}) == 1
    assert terminal.widest <= columns


@pytest.mark.parametrize(
    ("columns", "titles"), [(80, "NAME SIZE TIER FITS LICENSE"), (40, "NAME SIZE TIER"), (20, "NAME")]
)
def test_the_catalog_fits_on_a_narrow_terminal(columns: int, titles: str) -> None:
    """The names are whole on the narrowest."""
    with Spawned("list", "--available", terminal=True, columns=columns) as listing:
        assert listing.wait() == 0
    title, *rows = filter(str.strip, listing.out.splitlines())
    assert title.split()[: len(titles.split())] == titles.split()
    assert {"QWEN", "GEMMA"} <= {row.strip() for row in rows}
    assert "deepseek-coder" in [row.split()[0] for row in rows]
    assert max(map(len, rows)) <= columns


@pytest.mark.parametrize(
    ("columns", "titles"),
    [(80, "MODEL DONE SPEED LEFT PID USER HOST SINCE"), (40, "MODEL DONE SPEED LEFT PID"), (20, "MODEL DONE")],
)
def test_the_status_fits_on_a_narrow_terminal(columns: int, titles: str, tmp_path: Path) -> None:
    """What is downloaded and how far it is are shown on the narrowest."""
    run = Running(tmp_path, ("m",), "模型" * 20, "install", 4242, "host", "me", "2026-11-22T18:03Z", GB, 2 * GB, 98e6)
    terminal = Terminal(columns)
    try:
        title, row = status.as_table([run], terminal.output.out)
    finally:
        terminal.close()
    assert title.split() == titles.split()
    assert row.split()[1] == "50%"
    assert cell_len(row) < columns


def test_a_table_in_a_pipe_is_not_cut() -> None:
    """And nothing is left out."""
    taps = Taps()
    try:
        rows = table(ROWS, taps.output.out, (1,), optional=(2, 3))
    finally:
        taps.close()
    assert [row.split() for row in rows] == [" ".join(row).split() for row in ROWS]


def test_a_search_shows_the_nearest_first(shop: Shop) -> None:
    """Including the user's own models; with whether they are installed, and for programs with everything known."""
    shop.sell("my-vision", aliases=["eye"], groups=["vision"], license="zlib", files=["eye-q4_k_m.gguf"])
    luci("install", "eye")
    title, *rows = luci("search", "vision").stdout.splitlines()
    assert title.split()[:3] == ["NAME", "SIZE", "TIER"]
    assert [row.split()[0] for row in rows][:3] == ["my-vision", "qwen2.5-vl-3b", "smolvlm-500m"]
    (found,) = json.loads(luci("search", "VISION zlib", "q4_k", "--json").stdout)
    assert found["name"] == "my-vision"
    assert (found["installed"], found["fits"]["disk"], found["files"][0]["name"]) == (True, True, "eye-q4_k_m.gguf")


def test_a_search_without_result_is_exit_3() -> None:
    """With similar words; for programs as an event."""
    ended = luci("search", "mistrl")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert 'matches "mistrl"; did you mean mistral' in ended.stderr
    ended = luci("search", "mistrl", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["exit_code"]) == (3, 3)
