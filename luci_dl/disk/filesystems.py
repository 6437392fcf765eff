"""Which file system a folder lies on, as far as the system says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")  # Linux alone
_OF_NETWORKS = re.compile(r"nfs|cifs|smb|ncp|9p|ceph|lustre|gpfs|beegfs|afs|gluster|sshfs|davfs|s3fs|rclone|virtiofs")
_OF_MEMORY = {"tmpfs", "ramfs"}
_PAST_CACHE = {"ext2", "ext3", "ext4", "xfs"}
_SHARING = {"btrfs", "xfs", "bcachefs", "ocfs2", "zfs"}
_LOCAL_FUSE = {f"fuse.{name}" for name in ("mergerfs", "gocryptfs", "encfs", "bindfs", "fusefat")}
_SMALL_FILES = {"vfat", "msdos", "fat", "fuse.fusefat"}
SMALL_FILE = (4 << 30) - 1
"""The most bytes that a file may have where only small ones may be."""


@dataclass(frozen=True)
class FileSystem:
    """A mounted one; `kind` as the system calls it, like "ext4"."""

    kind: str
    mounted_at: str

    @property
    def is_remote(self) -> bool:
        """Other machines may write to it, and locks may be granted to everyone."""
        return bool(_OF_NETWORKS.search(self.kind))

    @property
    def has_unreliable_locks(self) -> bool:
        """Nobody can tell whether a lock there keeps others out."""
        return self.is_remote or (self.kind.partition(".")[0] == "fuse" and self.kind not in _LOCAL_FUSE)

    @property
    def description(self) -> str:
        """In words, where it `has_unreliable_locks`."""
        return "a network file system" if self.is_remote else "a file system of an unknown kind"

    @property
    def shares_blocks(self) -> bool:
        """A copy may cost no room."""
        return self.kind in _SHARING

    @property
    def writes_past_cache(self) -> bool:
        """Large blocks may go to the disk without a copy in memory, and are known to get there faster so."""
        return self.kind in _PAST_CACHE

    @property
    def is_memory(self) -> bool:
        """It is gone when the machine goes down."""
        return self.kind in _OF_MEMORY

    @property
    def holds_small_files_only(self) -> bool:
        """No file may have more than `SMALL_FILE` bytes, and none has holes: a FAT."""
        return self.kind in _SMALL_FILES


def file_system(path: Path) -> FileSystem | None:
    """The one that `path`, or the first folder above it that is there, lies on; None where nobody tells."""
    try:
        lines = os.fsdecode(_TABLE.read_bytes()).splitlines()
    except OSError:
        return None
    real = Path(os.path.realpath(path))
    found: FileSystem | None = None
    for mount in filter(None, map(_mount, lines)):
        if real.is_relative_to(mount.mounted_at) and (found is None or len(mount.mounted_at) >= len(found.mounted_at)):
            found = mount  # of two at one place the later one lies on top
    return found


def _mount(line: str) -> FileSystem | None:
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5:
        return None
    place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])  # spaces and the like
    return FileSystem(after.split(" ")[0], place)
