"""Several processes that claim room on one disk, and disks on which none can be claimed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, space
from luci_dl.disk.filesystems import FileSystem
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import CannotHold, NoRoom
from luci_dl.model import Artifact
from tests.disk.hands import (
    OPTIONS,
    artifact_of,
    assert_ends,
    digest_of,
    free_on,
    gguf,
    guarded,
    install,
    opened,
    part_at,
    pour,
    small_disk,
    staged,
)
from tests.mounts import fat, without_preallocation

MIB = 1 << 20
CLAIM = """
import sys
from pathlib import Path
from luci_dl.model import Artifact
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import NoRoom
from luci_dl.plan import Options

folder, name, size, min_free = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
artifact = Artifact(name, ("https://example.com/" + name,), size, "0" * 64)
print("ready", flush=True)
sys.stdin.readline()
try:
    with Transaction(folder, [artifact], options=Options(min_free=min_free)) as transaction:
        transaction.open(artifact)
        print("claimed", flush=True)
        sys.stdin.readline()
except NoRoom as error:
    print("refused:", error.message, flush=True)
"""
"""Waits for a line, claims, and holds what it has until the next line."""


def claim_at_once(folder: Path, count: int, size: int, min_free: int) -> list[str]:
    """The outputs of that many processes that claim at the same moment and hold their claim until all have finished."""
    argv = [sys.executable, "-c", CLAIM, str(folder)]
    crowd = [
        subprocess.Popen(
            [*argv, f"{number}.gguf", str(size), str(min_free)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for number in range(count)
    ]
    try:
        return _ask(crowd)
    finally:
        for process in crowd:
            process.kill()
            process.communicate()


def _ask(crowd: list[subprocess.Popen[str]]) -> list[str]:
    pipes = [(process.stdin, process.stdout) for process in crowd if process.stdin and process.stdout]
    assert [out.readline() for _, out in pipes] == ["ready\n"] * len(crowd)
    for going, _ in pipes:
        going.write("go\n")
    said = [out.readline().strip() for _, out in pipes]
    for (going, _), answer in zip(pipes, said, strict=True):
        if answer == "claimed":
            going.write("end\n")
    assert [process.wait(20) for process in crowd] == [0] * len(crowd)
    return said


def test_processes_that_claim_at_once_are_never_promised_more_than_there_is(tmp_path: Path) -> None:
    """Of four that want 3 MiB of 8 and leave 1, two get it; the others report what is needed and what is free."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        said = claim_at_once(disk, 4, 3 * MIB, MIB)
        refused = [line for line in said if line != "claimed"]
        assert 1 <= said.count("claimed") <= 2
        assert all("3.1MB needed" in line and "must stay free" in line for line in refused)
        assert staged(disk) == []


def test_one_that_fits_gets_its_room_though_another_tried_at_the_same_moment(tmp_path: Path) -> None:
    """Both see too little at first, and both give back."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        said = claim_at_once(disk, 2, 5 * MIB, MIB)
        assert said.count("claimed") == 1


def test_claims_collide_and_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that another process holds only for an instant is no reason to give up."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        other, measure, looks = disk / "other", space.free_bytes, list[int]()

        def measured(folder: Path) -> int:
            other.unlink(missing_ok=True)
            if not looks:
                other.write_bytes(bytes(2 * MIB))
            looks.append(measure(folder) or 0)
            return looks[-1]

        monkeypatch.setattr(space, "free_bytes", measured)
        part = part_at(disk, artifact_of(gguf(5 * MIB)), 2 * MIB)
        assert opened(part) == 0
        assert looks[0] < 2 * MIB
        part.remove()
        del part


def test_without_preallocation_two_processes_know_what_the_other_has_yet_to_write(tmp_path: Path) -> None:
    """On a real ext3: the free space alone would promise it twice."""
    with without_preallocation(tmp_path / "disk", 10 * MIB) as disk:
        free = free_on(disk)
        said = claim_at_once(disk, 2, free * 2 // 3, 0)
        assert sorted(line.partition(":")[0] for line in said) == ["claimed", "refused"]
        assert staged(disk) == []


def test_without_preallocation_the_error_says_what_others_need(tmp_path: Path) -> None:
    """That explains why the free space is not enough. A part that no process works on does not count."""
    with without_preallocation(tmp_path / "disk", 10 * MIB) as disk:
        free = free_on(disk)
        first, second = (Artifact(name, ("https://h/x",), free * 2 // 3, "0" * 64) for name in ("a.gguf", "b.gguf"))

        def claim_second() -> None:
            with Transaction(disk, [second], options=OPTIONS) as transaction:
                transaction.open(second)

        with Transaction(disk, [first], options=OPTIONS) as transaction:
            transaction.open(first)
            with pytest.raises(NoRoom, match="of which other downloads need"):
                claim_second()
        left = staging_for(disk, "a.gguf").part
        left.touch()
        with left.open("r+b") as file:
            file.truncate(free)
        claim_second()


def test_files_of_one_model_count_one_anothers_bytes_without_preallocation(tmp_path: Path) -> None:
    """Two shards that fit one by one do not fit together."""
    with without_preallocation(tmp_path / "disk", 10 * MIB) as disk:
        half = free_on(disk) * 2 // 3
        shards = [Artifact(f"m-0000{n}-of-00002.gguf", (f"https://h/{n}",), half, "0" * 64) for n in (1, 2)]

        def claim() -> None:
            with Transaction(disk, shards, options=OPTIONS) as transaction:
                for shard in shards:
                    transaction.open(shard)

        with pytest.raises(NoRoom):
            claim()
        assert staged(disk) == []


def test_a_file_of_4_gib_is_refused_on_fat_before_its_first_byte(tmp_path: Path) -> None:
    """On a real FAT32: by its limit, not for lack of room; nothing is left."""
    with fat(tmp_path / "disk", 6 << 30) as disk:
        part = part_at(disk, Artifact("big.gguf", ("https://example.com/big.gguf",), 4 << 30, "0" * 64))
        with pytest.raises(CannotHold, match=r"big\.gguf has 4\.3GB, and no file on .* may have more than 4 GiB"):
            opened(part)
        part.remove()
        assert not part.staging.part.exists()
        del part


def test_an_install_on_fat_sets_no_length_that_would_be_written_out(tmp_path: Path) -> None:
    """A FAT has no holes: a length is zeros, one by one."""
    with fat(tmp_path / "disk", 1 << 30) as disk:
        data = gguf(MIB)
        part = part_at(disk, artifact_of(data))
        opened(part)
        assert part.staging.part.stat().st_size == 0
        pour(part, data)
        assert part.verify(CancelToken()) == digest_of(data)
        assert part.staging.part.read_bytes() == data
        part.remove()
        del part


@pytest.mark.parametrize(("kind", "size", "fits"), [("vfat", 1 << 32, False), ("vfat", (1 << 32) - 1, True)])
def test_the_limit_is_that_of_the_file_system(kind: str, size: int, fits: bool) -> None:
    """One byte less than 4 GiB; others, as exFAT, have none."""
    space.check_limit("m", 1 << 40, FileSystem("exfat", "/media/usb"))
    space.check_limit("m", 1 << 40, None)
    if fits:
        space.check_limit("m", size, FileSystem(kind, "/media/usb"))
    else:
        with pytest.raises(CannotHold):
            space.check_limit("m", size, FileSystem(kind, "/media/usb"))


def test_a_part_that_was_kept_loses_nothing_when_its_claim_is_tried_again(tmp_path: Path) -> None:
    """What is given back is what was claimed, never what is proved."""
    with small_disk(tmp_path / "disk", 8 * MIB) as disk:
        path = disk / "m.part"
        path.write_bytes(gguf(2 * MIB))
        file = fs.open_own(path)
        assert file
        with pytest.raises(NoRoom):
            space.claim(guarded(file), 9 * MIB, 0)
        assert path.read_bytes() == gguf(2 * MIB)
        del file


def test_an_error_of_the_disk_while_writing_is_one_of_room(tmp_path: Path) -> None:
    """So that the message can say what would help."""
    with small_disk(tmp_path / "disk", MIB) as disk:
        (disk / "other").write_bytes(bytes(free_on(disk)))
        assert_ends(disk, NoRoom, lambda: install(disk, (gguf(64), "m.gguf")), [])
