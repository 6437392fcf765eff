"""The demo's environment: its own LUCI_HOME, a catalog of its server's files, and luci as a child process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.cli import session
from luci_dl.cli.child import luci_command
from luci_dl.cli.demo_server import DemoServer

_POLL_S = 0.02
_ENTRY = """
[[model]]
name = "{name}"
[[model.file]]
filename = "{name}.gguf"
url = "{url}"
size = {size}
sha256 = "{sha256}"
"""


class Stage:
    """Runs luci as a child process, on this process's terminal or pipes.

    Args:
        muted: neither the demo nor the child processes print anything.
    """

    def __init__(self, home: Path, server: DemoServer, token: CancelToken, *, muted: bool = False) -> None:
        self.models = home / "models"
        self.sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in server.files.items()}
        self._token = token
        self._muted = muted
        entries = (
            _ENTRY.format(name=name, url=server.url(name), size=len(data), sha256=self.sha256[name])
            for name, data in server.files.items()
        )
        (home / "catalog.toml").write_text("".join(entries))
        (home / "config.json").write_text(json.dumps({"min_free": 0}))  # /tmp may be small
        self._environ = {key: value for key, value in os.environ.items() if not key.startswith("LUCI_")} | {
            "LUCI_HOME": str(home),
            "LUCI_CATALOG": str(home / "catalog.toml"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def start(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start `luci WORDS`."""
        command = [*luci_command(), *words]
        out = subprocess.DEVNULL if self._muted else None
        environment = self._environ | environ
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def say(self, *lines: str) -> None:
        """Print the lines, unless muted."""
        if not self._muted:
            session.output().results(lines)

    def end(self, process: subprocess.Popen[bytes], until: Callable[[], bool] = lambda: False) -> int | None:
        """Wait for its end.

        Returns: the exit code, or minus the signal; None if `until` returned true before.
        Raises: Interrupted; the process has ended by then.
        """
        try:
            while process.poll() is None and not until():
                self._token.wait(_POLL_S)
                self._token.check()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        return process.returncode

    def files(self) -> list[str]:
        """Every file in the models folder."""
        return sorted(str(path.relative_to(self.models)) for path in self.models.rglob("*") if path.is_file())

    def digest(self, name: str) -> str:
        """The SHA-256 of an installed file."""
        with (self.models / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
