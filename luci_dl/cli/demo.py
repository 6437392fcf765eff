"""`luci demo`: the main job, offline. Every step is checked, and the first one that fails ends the demo."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from luci_dl.cancel import CancelToken, heard_signals
from luci_dl.cli import options, session
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.cli.demo_server import DemoServer
from luci_dl.cli.demo_stage import Stage
from luci_dl.errors import Interrupted, LuciError, StorageError
from luci_dl.events import Emit, Finding
from luci_dl.names import STAGING_SUFFIXES
from luci_dl.text import human_size

SIZE = 48_000_000
RATE = 16_000_000
FIRST, SECOND, THIRD = "demo-one", "demo-two", "demo-three"
_PART, _LOCK, _, _RECEIPT, _ = STAGING_SUFFIXES


@click.command(epilog=options.examples("luci demo", 'luci demo && echo "it works here"'))
@options.json_events
def command(as_json: bool) -> int:
    """See luci work, offline: a download, an interrupt, a crash, a clean-up.

    It takes ten seconds. A server on this machine has a small GGUF file; everything else is what you will use. It all
    happens in a temporary folder, which is removed at the end.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        try:
            with (
                tempfile.TemporaryDirectory(prefix="luci-demo-") as home,
                DemoServer(_files(), RATE) as server,
            ):
                _play(Stage(Path(home), server, token, muted=as_json), server, emit)
        except Interrupted as error:
            if as_json:
                raise
            session.output().results(["", "The demo was interrupted; its folder is removed."])
            return error.exit_code
        except OSError as error:
            raise StorageError(f"cannot run the demo: {error}", "Set TMPDIR to a folder with free space.") from error
        luci = "luci" if shutil.which("luci") else "scripts/luci"
        if not as_json:
            session.output().results(["", f"Everything worked. Now a real model:  {luci} install llama3.2"])
        return 0

    return session.run(work, json=as_json, quiet=True, what="Demo")


def _files() -> dict[str, bytes]:
    """Two different files: a model with the same bytes as an installed one would be copied, not downloaded."""
    one, other = make_gguf(SIZE), make_gguf(SIZE, seed=1)
    return {FIRST: one, SECOND: other, THIRD: other}


def _play(stage: Stage, server: DemoServer, emit: Emit) -> None:
    """Raises: LuciError, when a check fails; Interrupted."""
    where = f"Everything happens in {stage.models.parent}"
    stage.say(f"A server on this machine has a GGUF file of {human_size(SIZE)}. {where}")
    for topic, step in {"install": _install, "interrupt": _interrupt, "crash": _crash, "clean": _clean}.items():
        result = step(stage, server)
        stage.say(f"-> {result}")
        emit(Finding(topic, "ok", result, "", 0))


def _install(stage: Stage, _server: DemoServer) -> str:
    stage.say("", "1. Install a model: download it, check its SHA-256, move it into place.", f"$ luci install {FIRST}")
    _check(stage.end(stage.start("install", FIRST)) == 0, "the install did not end with exit code 0")
    _check(stage.digest(f"{FIRST}.gguf") == stage.sha256[FIRST], "the installed file has another SHA-256")
    return f"its SHA-256 is right: {stage.sha256[FIRST]}"


def _interrupt(stage: Stage, server: DemoServer) -> str:
    signum = heard_signals()[0]  # SIGINT is ignored in the background of a script
    stage.say("", f"2. Install another one and interrupt it ({signum.name}, like Ctrl+C).", f"$ luci install {SECOND}")
    process = stage.start("install", SECOND)
    _check(stage.end(process, until=lambda: server.sent(SECOND) > SIZE // 2) is None, "it ended before the interrupt")
    process.send_signal(signum)
    _check(stage.end(process) == -signum, f"luci did not die of {signum.name}")
    files = stage.files()
    _check(f"{FIRST}.gguf" in files, "the interrupt removed the first model")
    _check(f"{SECOND}.gguf" not in files and _staged(files, SECOND) <= {_LOCK}, "files of the second model are left")
    return f"nothing is left of it. In the models folder: {', '.join(_models(files))}"


def _crash(stage: Stage, server: DemoServer) -> str:
    stage.say("", "3. Install a third one and kill it (SIGKILL): it cannot clean up.", f"$ luci install {THIRD}")
    process = stage.start("install", THIRD, TERM="dumb")  # without progress bars, which would stay on the screen
    _check(stage.end(process, until=lambda: server.sent(THIRD) > SIZE // 2) is None, "it ended before it was killed")
    process.kill()
    process.wait()
    files = stage.files()
    _check(f"{THIRD}.gguf" not in files, "an incomplete file has its final name")
    _check(_PART in _staged(files, THIRD), "there is no partial file to clean")
    return "its partial file stays in a hidden folder, where no model loader looks; the next install would resume it"


def _clean(stage: Stage, _server: DemoServer) -> str:
    stage.say("", "4. Or clean up.")
    for words in (["clean", "--dry-run"], ["clean"]):
        stage.say(f"$ luci {' '.join(words)}")
        _check(stage.end(stage.start(*words)) == 0, "`luci clean` did not end with exit code 0")
    files = stage.files()
    only_first = _models(files) == [f"{FIRST}.gguf"] and _staged(files) == {_RECEIPT}
    _check(only_first, f"these files are left: {', '.join(files)}")
    _check(stage.digest(f"{FIRST}.gguf") == stage.sha256[FIRST], "the first model has changed")
    return "only the installed model and its receipt are left"


def _staged(files: list[str], model: str = "") -> set[str]:
    """The suffixes of luci's own files for the model, or for all."""
    own = [Path(file) for file in files if file.startswith(".")]
    return {path.suffix for path in own if path.name.startswith(model)}


def _models(files: list[str]) -> list[str]:
    return [file for file in files if not file.startswith(".")]


def _check(passed: bool, problem: str) -> None:
    if not passed:
        raise LuciError(f"the demo failed: {problem}", "This is a bug, or this machine is unusual.")
