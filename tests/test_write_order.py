"""The order that survives power loss, as the kernel sees it: data, journal, rename, folder, receipt."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shop import DATA, Shop
from tests.procs import ROOT
from tests.servers import FaultyServer
from tests.tools import need

CALLS = "pwrite64,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate"
RENAME, UNLINK = r"rename(at2?)?", r"unlink(at)?"
SMALL = "from luci_dl.__main__ import main; main()"
LARGE = """
from luci_dl.disk import small_part
from luci_dl.__main__ import main
small_part.SMALL = 0
main()
"""
SMALL_STEPS = """
from luci_dl.disk import blocks
blocks.BLOCK = 1 << 14
from luci_dl.disk import buffers, backlog, small_part
from luci_dl.net import worker_pool
from luci_dl.__main__ import main
backlog.SYNC_EVERY, backlog.AHEAD, worker_pool.BLOCK_BYTES = 1 << 16, 1 << 17, 1 << 16
buffers.LARGE, small_part.SMALL = 1 << 15, 0
main()
"""
LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)")


@dataclass(frozen=True)
class Call:
    """A system call: the numbers of the lines where it began and where it was through."""

    name: str
    text: str
    began: int
    ended: int


def calls_of(lines: Sequence[str]) -> list[Call]:
    """In the order of their ends; a call that another thread interrupted stands on two lines."""
    found, open_calls = list[Call](), dict[str, tuple[str, str, int]]()
    for number, line in enumerate(lines):
        match = LINE.match(line)
        if not match:
            continue
        pid, rest = match["pid"], match["rest"]
        name, text, began = open_calls.pop(pid) if match["resumed"] else (match["name"], "", number)
        if rest.endswith("<unfinished ...>"):
            open_calls[pid] = name, rest.removesuffix(" <unfinished ...>"), began
        elif " = -1 " not in rest:
            found.append(Call(name, text + rest, began, number))
    return found


class Trace:
    """The calls of one run that concern files of the models folder."""

    def __init__(self, models: Path, calls: list[Call]) -> None:
        self._models = models
        self._calls = calls

    def all(self, name: str, *files: str) -> list[Call]:
        """The calls of that kind (a pattern) that name each of the files, as `-y` and arguments show them."""
        paths = [f"{self._models}/{file}" if file else str(self._models) for file in files]
        return [
            call
            for call in self._calls
            if re.fullmatch(name, call.name)
            and all(f"{path}>" in call.text or f'{path}"' in call.text for path in paths)
        ]

    def one(self, name: str, *files: str) -> Call:
        found = self.all(name, *files)
        assert len(found) == 1, (name, files, found)
        return found[0]


def assert_order(*calls: Call) -> None:
    """Each is through before the next begins."""
    for earlier, later in itertools.pairwise(calls):
        assert earlier.ended < later.began, (earlier, later)


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    return Shop(server, tmp_path / "catalog.toml")


def trace(home: Path, *args: str, code: str = LARGE) -> Trace:
    """Run luci under strace, by this code. Where nobody may trace, there is nothing to test."""
    command = [sys.executable, "-P", "-c", code]
    strace = [need("strace"), "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(home.with_suffix(".strace"))]
    ended = subprocess.run([*strace, *command, *args], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    if b"ptrace" in ended.stderr:
        pytest.skip("no process may be traced here")
    assert ended.returncode == 0, ended.stderr
    return Trace(home / "models", calls_of(home.with_suffix(".strace").read_text().splitlines()))


def assert_synced_first(calls: Trace, name: str, commit: Call) -> Call:
    """All data is written, then synced, and its name, before the commit. Returns: the sync."""
    part = f".luci/{name}.part"
    synced = calls.all("fdatasync", part)[-1]
    assert_order(calls.all("pwrite64", part)[-1], synced, calls.all("fsync", ".luci")[0], commit)
    return synced


def assert_verified_first(calls: Trace, name: str, commit: Call) -> None:
    """The same, and in between the journal's last line."""
    log = f".luci/{name}.journal"
    done = calls.all("pwrite64", log)[-1]
    assert "done" in done.text
    assert_order(assert_synced_first(calls, name, commit), done, calls.all("fdatasync", log)[-1], commit)


def assert_settled(calls: Trace, name: str, after: Call) -> Call:
    """The folder is synced, then the receipt written and synced, and the journal goes last. Returns: its end."""
    folder = next(call for call in calls.all("fsync", "") if call.began > after.ended)
    named = calls.one(RENAME, f".luci/{name}.receipt.new", f".luci/{name}.receipt")
    written = calls.one("fdatasync", f".luci/{name}.receipt")
    durable = next(call for call in calls.all("fsync", ".luci") if call.began > written.ended)
    journal = calls.all(UNLINK, f".luci/{name}.journal")[-1:]
    assert_order(after, folder, named, written, durable, *journal)
    return durable


def test_a_file_is_on_disk_before_it_has_its_name(shop: Shop, home: Path) -> None:
    """Data synced, journal synced, rename, folder synced, receipt, and the journal goes last."""
    shop.sell("m")
    calls = trace(home, "install", "m")
    rename = calls.one(RENAME, ".luci/m.gguf.part", "m.gguf")
    assert_verified_first(calls, "m.gguf", rename)
    assert_settled(calls, "m.gguf", rename)
    assert (home / "models" / "m.gguf").read_bytes() == DATA


@pytest.mark.parametrize("code", [LARGE, SMALL])
@pytest.mark.parametrize("names", [["a.gguf", "b.gguf"], ["a.gguf"]])
def test_the_record_is_on_disk_before_the_first_rename(shop: Shop, home: Path, names: list[str], code: str) -> None:
    """Of a set, and of a small file: every part before it, then it, every rename, the receipts, and its end."""
    if (code, len(names)) == (LARGE, 1):
        pytest.skip("a large file alone has no record")
    shop.sell("m", files=names)
    calls = trace(home, "install", "m", code=code)
    written = calls.one("fdatasync", ".luci/a.gguf.commit.new")
    stands = calls.one(RENAME, ".luci/a.gguf.commit.new", ".luci/a.gguf.commit")
    for name in names:
        assert_synced_first(calls, name, written)
    durable = next(call for call in calls.all("fsync", ".luci") if call.began > stands.ended)
    renames = [calls.one(RENAME, f".luci/{name}.part", name) for name in names]
    assert_order(written, stands, durable, *renames)
    ends = [assert_settled(calls, name, renames[-1]) for name in names]
    assert_order(max(ends, key=lambda call: call.ended), calls.one(UNLINK, ".luci/a.gguf.commit"))


def test_a_line_of_the_journal_comes_after_the_sync_of_what_it_speaks_of(shop: Shop, home: Path) -> None:
    """For each checkpoint and block, every byte was written, then synced, and then the line."""
    shop.sell("m")
    calls = trace(home, "install", "m", code=SMALL_STEPS)
    part = ".luci/m.gguf.part"
    writes, syncs = calls.all("pwrite64", part), calls.all("fdatasync", part)
    lines = calls.all("pwrite64", ".luci/m.gguf.journal")
    ends = [(line, end) for line in lines for end in [end_of(line)] if end]
    assert len([line for line, _ in ends if "xxh3" in line.text]) > 1
    assert len([line for line, _ in ends if "at" in line.text]) > 1
    for line, end in ends:
        sync = [call for call in syncs if call.ended < line.began][-1]
        assert all(write.ended < sync.began for write in writes if offset_of(write) < end)


def end_of(line: Call) -> int:
    """Up to which offset a line of the journal says that the bytes of an only connection are safe."""
    if found := re.findall(r'\\"at\\":(\d+)', line.text):
        return int(found[0])
    found = re.findall(r'\\"blocks\\":(\d+),\\"xxh3\\":\\"(\w+)', line.text)
    return (int(found[0][0]) + len(found[0][1]) // 8) << 14 if found else 0


def offset_of(call: Call) -> int:
    """Where a pwrite64 wrote."""
    return int(re.findall(r", (\d+)\) += \d+$", call.text)[0])
