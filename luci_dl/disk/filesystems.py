"""The file system that a folder is on, and what it can do, as far as the system says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from luci_dl.frozen import frozen
from luci_dl.names import windows_problem

_TABLE = Path("/proc/self/mountinfo")  # only Linux has it
_NETWORK = (
    *("nfs", "cifs", "smb", "ncp", "9p", "ceph", "lustre", "gpfs", "beegfs", "afs", "gluster", "sshfs"),
    *("davfs", "s3fs", "rclone", "virtiofs"),
)
_IN_MEMORY = {"tmpfs", "ramfs"}
_FAST_DIRECT_WRITES = {"ext2", "ext3", "ext4", "xfs"}
_SHARE_BLOCKS = {"btrfs", "xfs", "bcachefs", "ocfs2", "zfs"}
_LOCAL_FUSE = {f"fuse.{name}" for name in ("mergerfs", "gocryptfs", "encfs", "bindfs", "fusefat")}
_FAT = {"vfat", "msdos", "fat", "fuse.fusefat"}
_WINDOWS_NAMES = _FAT | {"exfat", "fuse.exfat"}
_WINDOWS_SERVED = {"ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "smbfs"}  # whether names are checked is an option
SMALL_FILE = (4 << 30) - 1
"""The maximal size of a file on a FAT, in bytes."""


@frozen
class FileSystem:
    """A mounted file system; `kind` is the system's word for it, like "ext4"."""

    kind: str
    mounted_at: str

    @property
    def is_remote(self) -> bool:
        """Other machines may write to it, and locks may be granted to everyone."""
        return any(name in self.kind for name in _NETWORK)

    @property
    def has_unreliable_locks(self) -> bool:
        """It is not known whether a lock there keeps others out."""
        return self.is_remote or (self.kind.partition(".")[0] == "fuse" and self.kind not in _LOCAL_FUSE)

    @property
    def description(self) -> str:
        """Why it `has_unreliable_locks`."""
        return "a network file system" if self.is_remote else "a file system of an unknown kind"

    @property
    def shares_blocks(self) -> bool:
        """A copy of a file there may take no room."""
        return self.kind in _SHARE_BLOCKS

    @property
    def writes_past_cache(self) -> bool:
        """Large blocks can be written directly to the disk, and that is known to be faster."""
        return self.kind in _FAST_DIRECT_WRITES

    @property
    def is_memory(self) -> bool:
        """It is empty after a restart of the machine."""
        return self.kind in _IN_MEMORY

    @property
    def holds_small_files_only(self) -> bool:
        """No file may have more than `SMALL_FILE` bytes, and none can have holes."""
        return self.kind in _FAT

    def problem_with(self, name: str) -> str:
        """Why no file there can have that name; empty if it can."""
        checks = self.kind in _WINDOWS_NAMES or (self.kind in _WINDOWS_SERVED and name.endswith("."))
        return windows_problem(name) if checks else ""


def file_system(path: Path) -> FileSystem | None:
    """The file system of `path`, or of the first folder above it that exists; None where the system does not say."""
    real = os.path.join(os.path.realpath(path), "")
    found: FileSystem | None = None
    for mount in _mounts():
        is_above = real.startswith(os.path.join(mount.mounted_at, ""))
        if is_above and (found is None or len(mount.mounted_at) >= len(found.mounted_at)):
            found = mount  # of two at the same place the later one covers the other
    return found


def mounted_below(folder: Path) -> list[FileSystem]:
    """The file systems that are mounted somewhere below the folder, as far as the system says."""
    real = Path(os.path.realpath(folder))
    return [mount for mount in _mounts() if real in Path(mount.mounted_at).parents]


def _mounts() -> list[FileSystem]:
    """All mounted file systems; none where the system does not say."""
    try:
        lines = os.fsdecode(_TABLE.read_bytes()).splitlines()
    except OSError:
        return []
    return list(filter(None, map(_mount, lines)))


def _mount(line: str) -> FileSystem | None:
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5:
        return None
    place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])  # spaces and the like
    return FileSystem(after.split(" ")[0], place)
