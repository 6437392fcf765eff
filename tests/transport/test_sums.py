"""SHA256SUMS: what `sha256sum -c` takes, whatever the names are; lines of others stay."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from luci_dl.transport import sums
from tests.disk.hands import install
from tests.tools import need
from tests.transport.conftest import DATA, OTHER


def accepted(folder: Path) -> bool:
    words = [need("sha256sum"), "--check", "--strict", "--quiet", sums.NAME]
    return subprocess.run(words, cwd=folder, capture_output=True).returncode == 0


def test_it_lists_what_luci_has_put_there(tmp_path: Path) -> None:
    """Sorted by their bytes; anew when there is more, or less."""
    install(tmp_path, (DATA, "b.gguf"), (OTHER, "a/ü.gguf"))
    assert sums.update(tmp_path) == (2, len(DATA) + len(OTHER))
    install(tmp_path, (DATA, "A.gguf"))
    assert sums.update(tmp_path)[0] == 3
    assert list(sums.read(tmp_path).digests) == ["A.gguf", "a/ü.gguf", "b.gguf"]
    assert accepted(tmp_path)
    (tmp_path / "b.gguf").unlink()
    assert sums.update(tmp_path)[0] == 2
    assert accepted(tmp_path)


def test_lines_of_others_stay(tmp_path: Path) -> None:
    """Comments, and files that luci did not put there, with names that have to be escaped."""
    strange = "back\\slash\nnewline\rreturn"
    (tmp_path / strange).write_bytes(OTHER)
    (tmp_path / "plain.txt").write_bytes(DATA)
    made = subprocess.run([need("sha256sum"), "-b", strange, "./plain.txt"], cwd=tmp_path, capture_output=True).stdout
    (tmp_path / sums.NAME).write_bytes(b"# mine\n" + made)
    install(tmp_path, (DATA, "a.gguf"))
    sums.update(tmp_path)
    found = sums.read(tmp_path)
    assert found.others == (b"# mine",)
    assert found.digests[strange] == hashlib.sha256(OTHER).hexdigest()
    assert sorted(found.digests) == ["a.gguf", strange, "plain.txt"]
    text = (tmp_path / sums.NAME).read_bytes()
    (tmp_path / sums.NAME).write_bytes(text.replace(b"# mine\n", b""))
    assert accepted(tmp_path)
    sums.update(tmp_path)
    assert (tmp_path / sums.NAME).read_bytes() == text.replace(b"# mine\n", b"")
