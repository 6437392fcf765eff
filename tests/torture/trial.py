"""Runs one case and judges what luci made of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import threading
import traceback
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.errors import LuciError
from luci_dl.events import Event, Retrying, Warned
from luci_dl.plan import Options
from tests.procs import files_left, lock_is_free
from tests.torture.behaviours import newer
from tests.torture.case import Case
from tests.torture.servers import SECRET, Servers

LIMIT_S = 60.0
"""Far more than any run takes, since no delay is waited for."""
OLD = make_gguf(3000, seed=99)


class Wrong(Exception):
    """What luci must not do."""


@dataclass
class Trial:
    """A case in a models folder of its own, which it empties first."""

    case: Case
    folder: Path
    events: list[Event] = field(default_factory=list)
    story: str = ""

    def run(self) -> str:
        """Returns: how it ended. Raises: Wrong."""
        case, data = self.case, bytes_of(self.case.name, self.case.size)
        shutil.rmtree(self.folder, ignore_errors=True)
        if case.stood:
            self.folder.mkdir()
            self.target.write_bytes(OLD)
        with Servers(case, data) as servers:
            try:
                return self._runs(servers, data)
            finally:
                self.story = "\n".join([servers.story(), *self._said()])

    @property
    def target(self) -> Path:
        return self.folder / self.case.name

    def _runs(self, servers: Servers, data: bytes) -> str:
        case, last = self.case, ""
        for run in range(case.runs + 1):
            servers.begin_run(run)
            error = self._install(servers, retries=40 if run >= case.runs - 1 else run)
            if storm := servers.storm():
                raise Wrong(storm)
            self._check_secrets(error)
            if error is None:
                self._check_installed(data)
                return "installed" if run < case.runs else f"healed after {last}"
            self._check_failed(error)
            if run == case.runs or (run == case.runs - 1 and case.must_pass):
                raise Wrong(
                    f"failed in run {run}, though {'all is well' if run == case.runs else 'it passes'}: {error}"
                )
            last = type(error).__name__
            self._damage(Random(case.seed + run))
        raise AssertionError

    def _install(self, servers: Servers, retries: int) -> LuciError | None:
        case, token = self.case, luci_dl.CancelToken()
        digest = f"#sha256={hashlib.sha256(bytes_of(case.name, case.size)).hexdigest()}" if case.digest else ""
        options = Options(
            connections=case.connections, min_free=0, retries=retries, adopt=False, force=case.stood, wait=0
        )
        limit = threading.Timer(LIMIT_S, token.cancel)
        limit.start()
        try:
            luci_dl.install(
                *(url + digest for url in servers.urls),
                folder=self.folder,
                options=options,
                token=token,
                emit=self.events.append,
            )
        except LuciError as error:
            if token.cancelled:
                raise Wrong(f"did not end within {LIMIT_S:.0f} s") from error
            if error.exit_code not in (3, 4, 5):
                raise Wrong(f"exit {error.exit_code}: {error}") from error
            return error
        except Exception as error:
            raise Wrong("".join(traceback.format_exception(error))) from error
        finally:
            limit.cancel()
        return None

    def _check_installed(self, data: bytes) -> None:
        found = self.target.read_bytes()
        changes = not self.case.proved and any(trait.name == "changes" for trait in self.case.traits)
        if found != data and not (changes and found == newer(data)):
            wrong = next((n for n, (a, b) in enumerate(zip(found, data, strict=False)) if a != b), "the end")
            raise Wrong(f"installed wrong bytes: {len(found)} of {len(data)}, other from {wrong} on")
        self._check_left([self.case.name, f".luci/{self.case.name}.receipt"])

    def _check_failed(self, error: LuciError) -> None:
        stood = [self.case.name] if self.case.stood else []
        if stood and self.target.read_bytes() != OLD:
            raise Wrong("the file that stood at the target is another one")
        kept = [f".luci/{self.case.name}.{end}" for end in ("journal", "part")] if error.ending == "suspend" else []
        self._check_left(stood, kept)

    def _check_left(self, must: list[str], may: list[str] | None = None) -> None:
        left = {name for name in files_left(self.folder) if not name.endswith(("/", ".lock"))}
        if not set(must) <= left <= {*must, *(may or [])}:
            raise Wrong(f"left behind: {sorted(left)}, expected {must} and at most {may or []}")
        if not all(lock_is_free(lock) for lock in self.folder.rglob("*.lock")):
            raise Wrong("the lock is held")

    def _check_secrets(self, error: LuciError | None) -> None:
        said = [*map(repr, self.events), str(error), error.hint if error else ""]
        if shown := [text for text in said if SECRET in text]:
            raise Wrong(f"shows a secret: {shown[0]}")

    def _damage(self, random: Random) -> None:
        """Do to a kept part what a crash may do."""
        part, journal = (self.folder / ".luci" / f"{self.case.name}.{end}" for end in ("part", "journal"))
        if not (part.exists() and journal.exists()):
            return
        size, lines = part.stat().st_size, journal.read_bytes()
        at = random.randrange(size + 1)
        match self.case.damage:
            case "cut":
                os.truncate(part, at)
            case "grown":
                os.truncate(part, size + at)
            case "flipped" if at < size:
                with part.open("r+b") as file:
                    file.seek(at)
                    file.write(b"?")
            case "no journal":
                journal.unlink()
            case "cut journal":
                journal.write_bytes(lines[: random.randrange(len(lines))])
            case "junk journal":
                journal.write_bytes(lines + b"\0" * 99)
            case "no part":
                part.unlink()

    def _said(self) -> list[str]:
        return [
            f"  {event.reason} (retry {event.attempt})" if isinstance(event, Retrying) else f"  {event.message}"
            for event in self.events
            if isinstance(event, Retrying | Warned)
        ]


@cache
def bytes_of(name: str, size: int) -> bytes:
    """A valid file of that name and about that size."""
    if name.endswith(".gguf"):
        return make_gguf(size)
    if name.endswith(".safetensors"):
        header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
        return struct.pack("<Q", len(header)) + header + Random(size).randbytes(size)
    return b"\x01" + Random(size).randbytes(size)
