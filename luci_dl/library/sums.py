"""SHA256SUMS beside exported models, in the form that `sha256sum -c` reads. Source: coreutils."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import IntegrityError, UsageError
from luci_dl.names import check_name

FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


def read_sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below the folder, by its name there; empty if there is no SHA256SUMS.

    Raises: IntegrityError, for a line that is no such line, or leads out of the folder; StorageError.
    """
    data = fs.read_own(folder / FILE)
    sums = {}
    for number, line in enumerate((data or b"").decode(errors="replace").splitlines(), 1):
        found = _LINE.fullmatch(line)
        try:
            if found is None:
                raise UsageError("expected 64 hex digits, two spaces and a name")
            sums[check_name(found[2].removeprefix("./"))] = found[1].lower()
        except UsageError as error:
            raise IntegrityError(f"{folder / FILE}, line {number}: {error.message}", "Nothing was changed.") from error
    return sums


def add_sums(folder: Path, more: Mapping[str, str]) -> None:
    """Add files to SHA256SUMS, or replace their lines; those of files that are gone are left out.

    Raises: IntegrityError, StorageError, as `read_sums`.
    """
    sums = {**read_sums(folder), **more}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums) if (folder / name).is_file()]
    fs.write_file(folder / FILE, "".join(lines).encode(), keep_mode=True)
