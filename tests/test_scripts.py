"""A fresh clone sets itself up, once, even from two terminals; the top level contains only what it may."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from luci_dl import __version__
from tests.procs import ROOT, Spawned, files_left, wait_until
from tests.tools import need

SCRIPTS = ["scripts/luci", "scripts/test", "scripts/pictures", "scripts/torture", ".ci/run"]
TOP_LEVEL = {"luci_dl", "tests", "scripts", "pyproject.toml", "README.md", "LICENSE"}
ECHO = '#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\n'
MAIN = "import needed, sys\nprint(*sys.argv[1:])\n"


BACKEND = """
import os, pathlib, time, zipfile
def build_wheel(folder, *rest):
    pathlib.Path({begun!r}).write_text(str(os.getpid()))
    time.sleep(600)
"""
BY_HAND = [sys.executable, "-S", "tests/test_interrupt_cleanup.py"]  # -S hides the packages of the tests
SET_UP_S = 50
"""A limit for venv and pip together, in seconds."""
INTERRUPTED = "Set-up interrupted; run the command again to finish it.\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return make_clone(tmp_path)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that was moved after its set-up."""
    clone = make_clone(tmp_path_factory.mktemp("set up"))
    with fresh_luci(clone) as first:
        assert first.wait(SET_UP_S) == 0, first.err
    return clone.rename(clone.parent / "moved")


@pytest.fixture
def ready(moved: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(moved, tmp_path / "ready", symlinks=True))


def make_clone(folder: Path) -> Path:
    """A fresh clone whose luci echoes its arguments and depends on one package, a wheel beside it."""
    wheel = folder / "needed-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("needed.py", "")
        archive.writestr("needed-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: needed\nVersion: 1\n")
        archive.writestr("needed-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("needed-1.dist-info/RECORD", "")
    clone = folder / "a clone"
    shutil.copytree(ROOT / "scripts", clone / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "luci_dl").mkdir()
    (clone / "luci_dl" / "__main__.py").write_text(MAIN)
    depend_on(clone, wheel)
    return clone


def depend_on(clone: Path, package: Path) -> None:
    (clone / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["needed @ {package.as_uri()}"]\n[project.optional-dependencies]\n'
    )


def endless_package(folder: Path) -> Path:
    """Make a package whose build never ends. Returns: the file that gets the pid of the process that builds it."""
    folder.mkdir()
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(f'{system}[project]\nname = "needed"\nversion = "1"\n')
    (folder / "backend.py").write_text(BACKEND.format(begun=str(folder / "begun")))
    return folder / "begun"


def fresh_luci(clone: Path, *args: str, **env: str) -> Spawned:
    return Spawned(*args, command=[str(clone / "scripts" / "luci")], env={"PYTHONPATH": ""} | env)


@pytest.mark.parametrize("script", [*SCRIPTS, "scripts/venv.sh"])
def test_scripts_are_sound_shell(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_executed(script: str) -> None:
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR


def test_ci_runs_the_tests_and_nothing_else() -> None:
    shebang, *commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert shebang == "#!/bin/sh"
    assert commands == ['CI=${CI:-true} exec "$(dirname "$0")/../scripts/test"']


def test_the_top_level_contains_only_what_it_may() -> None:
    listing = [need("git"), "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert {name.partition("/")[0] for name in files if not name.startswith(".")} <= TOP_LEVEL


def test_luci_runs_through_symlinks_from_anywhere(clone: Path, tmp_path: Path) -> None:
    """Absolute and relative links; arguments and working directory are the user's."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(ECHO)
    python.chmod(0o755)
    shutil.copy(clone / "pyproject.toml", clone / ".venv" / "ready-to-run")
    (tmp_path / "bin").mkdir()
    (tmp_path / "absolute").symlink_to(clone / "scripts" / "luci")
    (tmp_path / "bin" / "luci").symlink_to("../absolute")
    for call in ("bin/luci", str(tmp_path / "bin" / "luci"), str(clone / "scripts" / "luci")):
        said = subprocess.run([call, "a  b", ""], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert said.splitlines() == [str(tmp_path), "-P", "-m", "luci_dl", "a  b", ""]


def interrupt_set_up(clone: Path, command: list[str]) -> None:
    """Press Ctrl+C in a terminal while the set-up runs: it ends with one sentence, and by the signal."""
    with Spawned(command=command, cwd=clone, terminal=True, env={"PYTHONPATH": ""}) as interrupted:
        interrupted.wait_for("Setting up")
        interrupted.press("\x03")
        assert interrupted.wait() == -signal.SIGINT
        assert interrupted.out.endswith(f"Setting up {clone}/.venv, once ...\n^C\n{INTERRUPTED}")
    assert not list(clone.glob(".venv/ready-to-*"))


@pytest.mark.parametrize("command", [["scripts/test"], BY_HAND], ids=["test", "by hand"])
def test_the_set_up_can_be_interrupted(clone: Path, command: list[str]) -> None:
    (clone / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "test_interrupt_cleanup.py", clone / "tests")
    interrupt_set_up(clone, command)


def test_a_fresh_clone_prints_its_version(clone: Path) -> None:
    """The real code, after an interrupted set-up; its dependencies come from the venv of the tests."""
    shutil.rmtree(clone / "luci_dl")
    shutil.copytree(ROOT / "luci_dl", clone / "luci_dl", ignore=shutil.ignore_patterns("__pycache__"))
    installed = [path for path in sys.path if path.endswith("site-packages")]
    interrupt_set_up(clone, ["scripts/luci", "--version"])
    with fresh_luci(clone, "--version", PYTHONPATH=os.pathsep.join(installed)) as told:
        assert told.wait(SET_UP_S) == 0, told.err
        assert told.out.startswith(f"luci {__version__}\n")
        assert "Setting up" in told.err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_of_the_set_up(ready: Path, tmp_path: Path, signum: int) -> None:
    """Here pip and its children; their temporary files are removed, and the venv does not count as ready."""
    begun = endless_package(tmp_path / "endless")
    depend_on(ready, tmp_path / "endless")
    (tmp_path / "scratch").mkdir()
    with fresh_luci(ready, TMPDIR=str(tmp_path / "scratch")) as interrupted:
        builder = int(wait_until(lambda: begun.exists() and begun.read_text(), SET_UP_S))
        interrupted.signal(signum)
        assert interrupted.wait() == -signum
        assert (interrupted.out, interrupted.err) == ("", f"Setting up {ready}/.venv, once ...\n{INTERRUPTED}")
    wait_until(lambda: not Path(f"/proc/{builder}").exists())
    assert files_left(tmp_path / "scratch") == []
    assert not list(ready.glob(".venv/ready-to-*"))


def test_two_terminals_set_a_clone_up_once(clone: Path) -> None:
    """Even if an earlier set-up left half a venv."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("nowhere")
    with fresh_luci(clone, "one") as one, fresh_luci(clone, "two") as two:
        assert (one.wait(SET_UP_S), two.wait(SET_UP_S)) == (0, 0)
        assert (one.out, two.out) == ("one\n", "two\n")
        assert (one.err + two.err).count("Setting up") == 1
    with fresh_luci(clone, "three") as three:
        assert (three.wait(), three.out, three.err) == (0, "three\n", "")


def test_a_moved_clone_is_not_set_up_again(moved: Path) -> None:
    with fresh_luci(moved, "moved") as run:
        assert (run.wait(), run.out, run.err) == (0, "moved\n", "")


def test_a_changed_project_is_set_up_again(ready: Path) -> None:
    with (ready / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    with fresh_luci(ready, "changed") as run:
        assert (run.wait(SET_UP_S), run.out) == (0, "changed\n")
        assert "Setting up" in run.err


def test_a_failed_set_up_says_why_and_does_not_count_as_ready(ready: Path) -> None:
    project = ready / "pyproject.toml"
    project.write_text(project.read_text().replace("needed-1", "missing-1"))
    with fresh_luci(ready) as failed:
        assert (failed.wait(SET_UP_S), failed.out) == (1, "")
        assert "missing-1" in failed.err
        assert "Traceback" not in failed.err
    assert not list(ready.glob(".venv/ready-to-*"))


def test_a_set_up_that_the_disk_refuses_is_one_sentence(ready: Path) -> None:
    """Such as another user's checkout."""
    (ready / "pyproject.toml").unlink()
    (ready / "pyproject.toml").mkdir()
    with fresh_luci(ready) as refused:
        assert (refused.wait(SET_UP_S), refused.out) == (1, "")
        assert "Setting up failed: " in refused.err
        assert "Traceback" not in refused.err


def test_without_a_new_python_luci_says_so(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp"):
        (tools / tool).symlink_to(need(tool))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    script = clone / "scripts" / "luci"
    ended = subprocess.run([script], env=os.environ | {"PATH": str(tools)}, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("luci needs Python 3.11 or newer")
