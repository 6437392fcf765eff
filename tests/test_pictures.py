"""The README's pictures can be made again, and show what luci says."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.procs import ROOT

sys.path.append(str(ROOT / "scripts"))

from pictures_lib.__main__ import draw
from pictures_lib.ground import in_place
from pictures_lib.page import WIDTH, draw_page
from pictures_lib.scenes import SCENES
from pictures_lib.screen import Cell, screen, text

SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: Path) -> list[str]:
    """The text of a picture, row by row."""
    rows: dict[float, list[str]] = {}
    for shape in ElementTree.parse(svg).iter(f"{SVG}text"):
        rows.setdefault(float(shape.attrib["y"]), []).append(shape.text or "")
    return ["".join(texts) for _, texts in sorted(rows.items())]


def test_the_picture_of_an_interrupt_is_made_from_a_real_one(tmp_path: Path) -> None:
    """A terminal before Ctrl+C, with a bar, and after it, without."""
    svg = draw("interrupt", tmp_path, scale=0.01)
    shown = lines(svg)
    assert shown.count("$ luci install mistral") == 2
    assert shown[-3:] == [
        "⚠️  Download interrupted by user",
        "🗑️  Deleted partial download: mistral-7b-instruct-v0.2.Q4_K_M.gguf",
        "   Run the install command again to restart",
    ]
    assert [shape.attrib["class"] for shape in ElementTree.parse(svg).iter(f"{SVG}rect")].count("rest") == 1


@pytest.mark.parametrize("name", SCENES)
def test_the_pictures_tell_nothing_of_who_made_them(name: str) -> None:
    """Small files, without paths, hosts or users of a real machine."""
    svg = ROOT / ".github" / f"{name}.svg"
    assert svg.stat().st_size < 10_000
    shown = "\n".join(lines(svg))
    assert "/tmp" not in shown
    assert shown.count("/home/") == shown.count("/home/me/")
    assert not {"root", os.uname().nodename} & set(shown.split())


def test_every_picture_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in SCENES if f"(.github/{name}.svg)" not in readme] == []


def test_the_pictures_of_the_page_are_made_by_a_real_browser(tmp_path: Path) -> None:
    """Light and dark, as large as those of the README, which are not too large for it."""
    made = draw_page(tmp_path)
    assert [path.name for path in made] == ["serve-light.png", "serve-dark.png"]
    for path in (*made, *(ROOT / ".github" / path.name for path in made)):
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        assert struct.unpack(">I", head[16:20])[0] == WIDTH * 3 // 2
        assert path.stat().st_size < 250_000


def test_a_screen_is_what_a_terminal_shows() -> None:
    """Colours, wide signs, and what is written over or erased."""
    rows = screen("⚠️  one\r\n\x1b[36m━\x1b[0mtwo\r\nthree\r\n\x1b[2A\rnew\x1b[K\n\x1b[Jend")
    assert [text(row) for row in rows] == ["⚠️  one", "new", "end"]
    assert rows[0][:3] == [Cell("⚠️"), Cell(""), Cell(" ")]
    assert screen("\x1b[36m━\x1b[0mK")[0] == [Cell("━", "36"), Cell("K")]


def test_a_name_is_exchanged_where_it_stands() -> None:
    """Columns behind it stay in their places, a sentence goes on."""
    assert in_place("pid 1 on vm (luci)", "vm", "box") == "pid 1 on box (luci)"
    assert in_place("me  vm    12:00", "vm", "box") == "me  box   12:00"


def test_an_unknown_picture_is_refused() -> None:
    command = [sys.executable, "-m", "pictures_lib", "nothing"]
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (ended.returncode, "there is no picture nothing" in ended.stderr) == (2, True)
