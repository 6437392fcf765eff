"""scripts/pictures: the README's pictures, made again."""

from __future__ import annotations

import argparse
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pictures_lib.ground import COLUMNS, ground
from pictures_lib.page import draw_page
from pictures_lib.scenes import SCENES
from pictures_lib.svg import picture
from tests.procs import ROOT

PAGE = "serve"
"""The picture of the page, light and dark."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures that are named, or all."""
    known = [*SCENES, PAGE]
    parser = argparse.ArgumentParser(prog="scripts/pictures", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones, all if none is named: {', '.join(known)}")
    parser.add_argument("--into", type=Path, default=ROOT / ".github", metavar="FOLDER", help="%(default)s if left out")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the models' sizes; 1, the default, takes 7 GB and some minutes"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a script it would be ignored
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"there is no picture {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    for name in options.names or known:
        print(*draw_page(options.into) if name == PAGE else [draw(name, options.into, options.scale)], sep="\n")


def draw(name: str, into: Path, scale: float) -> Path:
    """Play the scene, and write its picture."""
    title, scene = SCENES[name]
    with tempfile.TemporaryDirectory(prefix="luci-pictures-") as home, ground(Path(home).resolve(), scale) as here:
        windows = scene(here)
    path = into / f"{name}.svg"
    path.write_text(picture(title, windows, COLUMNS))
    return path


if __name__ == "__main__":
    main()
