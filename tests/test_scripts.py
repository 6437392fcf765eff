"""A fresh clone sets itself up, once, whoever comes first; the top level holds what it may."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from luci_dl import __version__
from tests.procs import ROOT, Spawned
from tests.tools import need

SCRIPTS = ["scripts/luci", "scripts/test", "scripts/pictures", ".ci/run"]
TOP_LEVEL = {"luci_dl", "tests", "scripts", "pyproject.toml", "README.md", "LICENSE"}
ECHO = '#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\n'
MAIN = "import needed, sys\nprint(*sys.argv[1:])\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone whose luci echoes its arguments and needs one package, which a wheel beside it provides."""
    wheel = tmp_path / "needed-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("needed.py", "")
        archive.writestr("needed-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: needed\nVersion: 1\n")
        archive.writestr("needed-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("needed-1.dist-info/RECORD", "")
    clone = tmp_path / "a clone"
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    (clone / "luci_dl").mkdir()
    (clone / "luci_dl" / "__main__.py").write_text(MAIN)
    (clone / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["needed @ {wheel.as_uri()}"]\n[project.optional-dependencies]\n'
    )
    return clone


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


def test_the_top_level_holds_what_it_may() -> None:
    listing = [need("git"), "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert {name.partition("/")[0] for name in files if not name.startswith(".")} <= TOP_LEVEL


def test_luci_runs_through_symlinks_from_anywhere(clone: Path, tmp_path: Path) -> None:
    """Links absolute and relative; the arguments and the folder stay the user's."""
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


def test_a_fresh_clone_tells_its_version(clone: Path) -> None:
    """The real code; what it depends on is lent by the venv of the tests."""
    shutil.rmtree(clone / "luci_dl")
    shutil.copytree(ROOT / "luci_dl", clone / "luci_dl", ignore=shutil.ignore_patterns("__pycache__"))
    installed = [path for path in sys.path if path.endswith("site-packages")]
    with fresh_luci(clone, "--version", PYTHONPATH=os.pathsep.join(installed)) as told:
        assert told.wait() == 0, told.err
        assert told.out.startswith(f"luci {__version__}\n")
        assert "Setting up" in told.err


def test_two_terminals_set_a_clone_up_once(clone: Path) -> None:
    """Also where an earlier set-up left half a venv."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("nowhere")
    with fresh_luci(clone, "one") as one, fresh_luci(clone, "two") as two:
        assert (one.wait(), two.wait()) == (0, 0)
        assert (one.out, two.out) == ("one\n", "two\n")
        assert (one.err + two.err).count("Setting up") == 1
    with fresh_luci(clone, "three") as three:
        assert (three.wait(), three.out, three.err) == (0, "three\n", "")


def test_a_changed_project_is_set_up_again_and_a_moved_one_is_not(clone: Path) -> None:
    with fresh_luci(clone) as first:
        assert first.wait() == 0
    moved = clone.rename(clone.parent / "moved")
    with fresh_luci(moved, "moved") as second:
        assert (second.wait(), second.out, second.err) == (0, "moved\n", "")
    with (moved / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    with fresh_luci(moved) as third:
        assert third.wait() == 0
        assert "Setting up" in third.err


def test_an_interrupted_set_up_is_not_taken_for_whole(clone: Path) -> None:
    with Spawned(command=[str(clone / "scripts" / "luci")], terminal=True) as interrupted:
        interrupted.wait_for("Setting up")
        interrupted.press("\x03")
        assert interrupted.wait() == -2
    assert not list(clone.glob(".venv/ready-to-*"))


def test_a_failed_set_up_says_why_and_is_not_taken_for_whole(clone: Path) -> None:
    project = clone / "pyproject.toml"
    project.write_text(project.read_text().replace("needed-1", "missing-1"))
    with fresh_luci(clone) as failed:
        assert (failed.wait(), failed.out) == (1, "")
        assert "missing-1" in failed.err
        assert "Traceback" not in failed.err
    assert not list(clone.glob(".venv/ready-to-*"))


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
