"""A catalog of models on the test's server, and assertions about a luci that has ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from luci_dl.cli.demo_gguf import make_gguf
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer
from tests.servers.faults import Fault

DATA = make_gguf(300_000)
OTHER = make_gguf(300_000, seed=1)
UNFINISHED = (".part", ".journal", ".commit", ".new")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Shop:
    """Writes the catalog file `file`; each model's files are at `/NAME` of the server."""

    def __init__(self, server: FaultyServer, file: Path) -> None:
        self.server = server
        self.file = file
        self._models: dict[str, str] = {}
        self._write()

    def sell(
        self,
        name: str,
        data: bytes = DATA,
        faults: Sequence[Fault] = (),
        *,
        files: Sequence[str] = (),
        digest: bool = True,
        **more: object,
    ) -> str:
        """Add the model, or replace the one of that name. Returns: the address of its first file.

        Args:
            files: their names, by default NAME.gguf alone; a name with "proj" is a projector's.
            digest: the catalog states it, and the size.
            more: other keys of the model.
        """
        entry = [_table("model", name=name, **more)]
        for file in files or [f"{name}.gguf"]:
            role = {"role": "projector"} if "proj" in file else {}
            known = {"size": len(data), "sha256": sha256(data)} if digest else {}
            url = self.server.serve(f"/{file}", data, faults)
            entry.append(_table("model.file", filename=file, url=url, **known, **role))
        self._models[name] = "\n".join(entry)
        self._write()
        return self.server.url(f"/{(files or [f'{name}.gguf'])[0]}")

    def _write(self) -> None:
        self.file.write_text("\n".join(self._models.values()))


def _table(_title: str, **values: object) -> str:
    pairs = [f"{key} = {json.dumps(value)}" for key, value in values.items()]  # JSON is TOML, as far as it goes here
    return "\n".join([f"[[{_title}]]", *pairs])


def assert_refused(ended: CompletedProcess[str], code: int, *texts: str) -> None:
    """One clear message on stderr, nothing on stdout, the exit code, no traceback."""
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.count("❌") == 1, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    for text in texts:
        assert text in ended.stderr


def assert_nothing_left(folder: Path, *files: str) -> None:
    """Assert that nothing unfinished is left, that every lock is free, and that the folder has no other files."""
    left = files_left(folder) if folder.exists() else []
    staged = [name for name in left if name.startswith(".luci/")]
    assert not [name for name in staged if name.endswith(UNFINISHED)]
    assert sorted(set(left) - set(staged)) == sorted(files)
    assert all(lock_is_free(folder / name) for name in staged if name.endswith(".lock"))
