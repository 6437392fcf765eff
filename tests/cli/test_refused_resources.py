"""A bare or crowded system: no threads, files, memory, /dev/null or working folder. One sentence, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

import luci_dl
from tests.cli.shop import Shop, assert_nothing_left, assert_refused
from tests.procs import LUCI, ROOT, Code, Spawned
from tests.tools import need

REFUSE_THREADS = """
import threading
start, left = threading.Thread.start, iter(range({}))
def refuse(thread):
    if thread.name.startswith("luci-") and next(left, None) is None:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refuse
"""
REFUSE_MEMORY = """
import mmap
real, left = mmap.mmap, iter(range({}))
class Refusing(real):
    def __new__(cls, *args):
        if next(left, None) is None:
            raise OSError(12, "Cannot allocate memory")
        return real(*args)
mmap.mmap = Refusing
"""
LEAST_FILES = 5  # with fewer, Python itself may not start


def run_in(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=30)


def assert_done_or_refused(code: int, stderr: str, models: Path) -> None:
    """By exit code and one sentence; nothing is left, or all is there."""
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert code in (0, 4, 6), stderr
    assert code == 0 or stderr.count("❌") == 1
    assert_nothing_left(models, *(["a.gguf"] if code == 0 else []))


@pytest.mark.parametrize("allowed", range(9))
def test_no_more_threads(shop: Shop, models: Path, allowed: int) -> None:
    """Each of those that luci starts may be the first that is refused, and all after it."""
    shop.sell("a")
    with Spawned("install", "a", "--retries", "0", command=Code(REFUSE_THREADS.format(allowed))) as run:
        assert_done_or_refused(run.wait(), run.err, models)
        assert "the system allows no more threads" in run.err or run.wait() == 0


@pytest.mark.parametrize(("allowed", "code"), [(0, 4), (1, 0)])
def test_no_more_memory(shop: Shop, models: Path, allowed: int, code: int) -> None:
    """A connection without a buffer is one too many; the others go on."""
    shop.sell("a")
    with Spawned("install", "a", "--retries", "0", "-c", "2", command=Code(REFUSE_MEMORY.format(allowed))) as run:
        assert run.wait() == code, run.err
        assert_done_or_refused(code, run.err, models)


@pytest.mark.parametrize("limit", range(LEAST_FILES, 12))
def test_no_more_files(shop: Shop, models: Path, limit: int) -> None:
    """Wherever the next one is opened: a pipe, the lock, the part, a socket, a module."""
    shop.sell("a")
    ended = run_in("sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", *LUCI, "install", "a", "--retries", "0")
    assert_done_or_refused(ended.returncode, ended.stderr, models)


@pytest.mark.parametrize("words", [["list"], ["doctor", "--offline"], ["clean"], ["--version"], ["status"], ["verify"]])
def test_other_commands_without_files(home: Path, words: list[str]) -> None:
    for limit in range(LEAST_FILES, 9):
        ended = run_in("sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", *LUCI, *words)
        assert (ended.returncode in (0, 6), "Traceback" in ended.stderr) == (True, False), ended.stderr


@pytest.mark.parametrize("redirected", ["", "<&-", "<&- >&-"])
def test_a_container_without_dev_null(home: Path, redirected: str) -> None:
    """Also with standard streams that are closed."""
    if os.geteuid() != 0:
        pytest.skip("only root can hide it")
    script = f'mount -t tmpfs none /dev 2>/dev/null || exit 99; exec "$@" {redirected}'
    ended = run_in(need("unshare"), "--mount", "sh", "-c", script, "sh", *LUCI, "list")
    if ended.returncode == 99:
        pytest.skip("nothing can be mounted here")
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr


@pytest.mark.parametrize(
    ("words", "code"), [(["list"], 0), (["clean"], 0), (["list", "--dir", "models"], 2), (["install", "a"], 0)]
)
def test_a_working_folder_that_was_deleted(shop: Shop, tmp_path: Path, words: list[str], code: int) -> None:
    """It matters only for relative paths."""
    shop.sell("a")
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = run_in("sh", "-c", 'rmdir ../gone && exec "$@"', "sh", *LUCI, *words, cwd=gone)
    if code:
        assert_refused(ended, code, "the current folder, which no longer exists", "Change into another folder")
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["list", "--available"], "mistral"), (["info", "mistral"], "Installed"), (["doctor", "--offline"], "models")],
)
def test_a_zipapp_has_the_catalog(home: Path, tmp_path: Path, words: list[str], expected: str) -> None:
    """And everything else that is in the package."""
    package, app = Path(luci_dl.__file__).parent, tmp_path / "luci.pyz"
    shutil.copytree(package, tmp_path / "app" / "luci_dl", ignore=shutil.ignore_patterns("__pycache__"))
    zipapp.create_archive(tmp_path / "app", app, main="luci_dl.__main__:main")
    environ = os.environ | {"PYTHONPATH": ""}
    ended = subprocess.run([sys.executable, app, *words], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert expected in ended.stdout
