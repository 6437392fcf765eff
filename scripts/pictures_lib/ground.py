"""A home, a catalog and a server for it; luci started there, each in a terminal of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luci_dl.catalog import catalog
from luci_dl.cli.demo_gguf import make_gguf
from pictures_lib.screen import Row, screen, text
from tests.procs import Spawned, wait_until
from tests.servers import FaultyServer, faults

COLUMNS = 84
RATE = 25e6
"""Bytes a second of each connection."""
MODELS = ("llama3.2", "mistral")
HOST, USER = "box", "me"
PATIENCE_S = 120.0


class Shot(Spawned):
    """A running `luci WORDS...`, and its terminal."""

    def __init__(self, words: str, home: Path) -> None:
        self._begin = f"$ luci {words}\n"
        self._home = home
        environ = {
            "HOME": str(home),
            "LUCI_CATALOG": str(home / "catalog.toml"),
            "LOGNAME": USER,
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        super().__init__(*words.split(), terminal=True, env=environ, columns=COLUMNS)

    def screen(self) -> Sequence[Row]:
        """What its terminal shows now, as if it were anybody's."""
        shown = self._begin + self.out.replace(str(self._home), f"/home/{USER}")
        rows = screen(in_place(shown, socket.gethostname(), HOST))
        while not text(rows[-1]):
            rows.pop()
        return rows

    def until(self, holds: Callable[[str], object]) -> None:
        """Wait until it holds of what the terminal shows."""
        wait_until(lambda: holds("\n".join(map(text, self.screen()))), PATIENCE_S, "the moment of the picture")

    def until_share(self, file: str, least: int) -> None:
        """Wait until the bar of the file (what its name begins with) has come so far, in percent."""

        def far_enough(shown: str) -> bool:
            found = re.search(rf"^{re.escape(file)}\S+ .* (\d+)%", shown, re.MULTILINE)
            return found is not None and int(found[1]) >= least

        self.until(far_enough)


@dataclass(frozen=True)
class Ground:
    """Where the pictures are taken."""

    home: Path

    def luci(self, words: str) -> Shot:
        return Shot(words, self.home)


@contextlib.contextmanager
def ground(home: Path, scale: float = 1.0) -> Iterator[Ground]:
    """Models of the catalog under their own names, as large as they are, or as `scale` says, and as fast."""
    with FaultyServer() as server:
        entries = [_entry(server, name, scale, home) for name in MODELS]
        (home / "catalog.toml").write_text("\n".join(entries))
        (home / ".luciferai").mkdir()
        (home / ".luciferai" / "config.json").write_text(json.dumps({"min_free": 0}))
        yield Ground(home)


def _entry(server: FaultyServer, name: str, scale: float, home: Path) -> str:
    model = catalog.load().find(name)
    assert model is not None
    file = model.artifacts[0]
    assert file.size is not None
    data = _gguf(home / f"{name}.served", int(file.size * scale))
    slow = [faults.no_etag() + faults.trickle(RATE)]
    url = server.serve(f"/{file.name}", data, slow)  # type: ignore[arg-type] # it is sliced like bytes
    digest = hashlib.sha256(data).hexdigest()
    facts = {"filename": file.name, "url": url, "size": len(data), "sha256": digest}
    pairs = "\n".join(f"{key} = {json.dumps(value)}" for key, value in facts.items())
    return f'[[model]]\nname = "{name}"\n[[model.file]]\n{pairs}\n'


def _gguf(path: Path, size: int) -> mmap.mmap:
    """A file of that size that takes no room: the beginning of a real one, then nothing but zeros."""
    path.write_bytes(make_gguf(4096))
    os.truncate(path, size)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def in_place(shown: str, name: str, other: str) -> str:
    """Another name in the place of one; what stands in columns behind it stays where it is."""
    room = len(name) - len(other)

    def exchanged(found: re.Match[str]) -> str:
        blanks = len(found[1])
        return other + " " * (max(2, blanks + room) if blanks > 1 else blanks)

    return re.sub(rf"\b{re.escape(name)}\b( *)", exchanged, shown)
