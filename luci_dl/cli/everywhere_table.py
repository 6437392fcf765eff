"""The table of `luci list --everywhere`."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.api.everywhere import Found, perhaps_wasted, wasted
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.text import human_size
from luci_dl.ui.stream import Output

_TITLES = ("PROGRAM", "NAME", "SIZE", "SAME BYTES", "PATH")
_NAME, _SAME, _PATH = map(_TITLES.index, ("NAME", "SAME BYTES", "PATH"))


def show(found: Sequence[Found], output: Output, *, as_json: bool) -> int:
    """Show what programs hold. Returns: the exit code."""
    if as_json:
        output.results([answer("list --everywhere", found)])
        return 0
    if not found:
        output.say(["No program on this machine has models in the places where luci looks"])
        return 0
    output.results(table([_TITLES, *map(_row, found)], output.out, (_NAME, _PATH), optional=(_PATH, _SAME)))
    saved, perhaps = wasted(found), perhaps_wasted(found)
    if saved:
        output.say([f"Up to {human_size(saved)} could be saved, less where the file system already shares blocks"])
    if perhaps:
        output.say(
            [f"Perhaps {human_size(perhaps)} more: some files have the same size, but luci does not know their digests"]
        )
    if saved or perhaps:
        output.say(["To keep one copy, delete the model in the other program, then link it: luci link PROGRAM NAME"])
    return 0


def _row(found: Found) -> tuple[str, ...]:
    file = found.file
    return file.program, file.name, human_size(file.size), _same(found), str(file.path)


def _same(found: Found) -> str:
    """Where else the bytes are."""
    kinds = {"twice": found.twice, "perhaps twice": found.perhaps, "shared": found.shared}
    programs = {kind: ", ".join(dict.fromkeys(each.program for each in files)) for kind, files in kinds.items()}
    return "; ".join(f"{kind}: {names}" for kind, names in programs.items() if names)
