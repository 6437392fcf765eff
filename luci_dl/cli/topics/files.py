"""`luci help files`, from the paths of disk/layout.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from luci_dl.api.clean import staging_for
from luci_dl.api.config import config_path
from luci_dl.api.info import REMEMBERED
from luci_dl.cli.topics.layout import block, heading, table, text

HOME = {
    config_path(Path()).name: "The settings: `luci help settings`.",
    "catalog.toml": "Your own catalog: `luci help catalog`.",
    "models/": "The models, and nothing else; the setting models_dir or --dir names another such folder.",
    f"{REMEMBERED}/": "When files in folders that you may only read were last checked.",
    "links/": "What `luci link` made in other programs' folders, a file for each link.",
    "llama-server.ini": "The presets that `luci link llama-server` keeps; sections that you add stay.",
    "shell_history": "What was typed at the prompt of `luci shell`.",
    "*.lock": "Held while config.json or your catalog is changed.",
}
STAGING = {
    "part": "The bytes of an unfinished download; a file of less than 1 MiB is written when it is complete.",
    "journal": "What a resumed download needs, with digests that verify the bytes so far. A file of less than 1 MiB "
    "has one only when it is kept unfinished: after a crash it is fetched again.",
    "lock": "Who is downloading the file: process, machine, progress. An idle one may stay.",
    "receipt": "Of an installed file: reference, address, SHA-256, size, times, checksums of its blocks, what was "
    "asked for, small files from a registry. It stays.",
    "new_receipt": "A receipt that is being written.",
    "commit": "The files of a model, all of them verified, while they get their final names.",
}
DISKS = {
    "Space": "The space for a whole file is claimed before its first byte, so that two downloads never count on the "
    "same space; for files of less than 1 MiB it is only measured. min_free stays free besides. Several models "
    "are added up first: with --dry-run, `luci install` says which would fit. A model that models_dir cannot "
    "hold (no space, no permission, another disk, a file size limit) goes to backup_models_dir as a whole, "
    "unless --dir is given. Where the file system cannot preallocate, the free space is watched during the "
    "download. FAT32 cannot hold a file of 4 GiB.",
    "Shared folders": "In a folder that is setgid and writable to its group (chmod 2775), everything that luci "
    "creates belongs to the group, whatever the umask: every member can wait for, resume, clean and remove what "
    "another one began. In a folder that you may only read, `list`, `path`, `info`, `verify` and the install of what "
    "is there work; anything else ends with exit code 6 and names the owner of the folder.",
    "Sticks": "The folder of `luci export` is a models folder with a SHA256SUMS beside the models: `luci list --dir` "
    "and `luci verify --dir` work there, and so does `sha256sum -c SHA256SUMS`. min_free does not hold there, and the "
    "folder is not remembered. `luci import` takes what has a receipt, and model files that SHA256SUMS lists.",
    "Buckets": "`luci push NAME s3://BUCKET/PREFIX` writes to PREFIX/NAME: each file below its SHA-256, and last "
    "luci.json, the manifest. A newer version overwrites no file of an earlier one; those stay until you delete them, "
    "with everything below PREFIX/NAME that luci.json does not name. A folder of a model can be copied to another "
    "bucket, and installed from there.",
    "Network disks": "On NFS, CIFS, Lustre, GPFS, 9p, sshfs and unknown FUSE file systems, and wherever a lock is "
    "granted to everyone, each process has its own partial file, reads it back from the disk before it gets its final "
    "name, and cannot resume it; luci says so once. `luci clean` removes such a file when its process has ended; if "
    "that ran on another machine, a day after the last write. The next install, not `luci clean`, completes a model "
    "of several files that a crash interrupted. `luci status` shows only downloads under locks that work.",
    "Upper and lower case": "Where Model.gguf and model.gguf are the same name (macOS, exFAT, NTFS), the second of "
    "two such models is refused with exit code 5, and the message names the first.",
}
_NAME = "NAME.gguf"
_PATHS = staging_for(Path("/models"), _NAME)
FOLDER = _PATHS.lock.parent.name


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from heading("~/.luciferai (or LUCI_HOME)")
    yield from table(HOME.items())
    yield from heading("A models folder")
    yield from table(
        [
            (_NAME, "A model from the catalog or an address."),
            ("OWNER/REPO/NAME.gguf", "A model from the Hub, where LM Studio finds it."),
            (
                "MODEL-TAG.gguf",
                "A model from Ollama; HOST/NAMESPACE/ comes before it unless they are the usual ones.",
            ),
            (f"{FOLDER}/", "luci's own files, in folders like those of the models."),
        ]
    )
    yield from text(
        "A file has its final name only if it is complete, verified and safely on disk, so a program that looks into "
        "the folder never sees an unfinished one."
    )
    yield from heading(f"{FOLDER}/, for each model file")
    yield from table((getattr(_PATHS, kind).name, meaning) for kind, meaning in STAGING.items())
    yield from text(
        "A name that is too long is shortened and gets a hash. Where locks cannot be trusted (network disks), part and "
        "journal also have a mark of their process. To see whether that works, an empty file (.luci-rehearsal-...) is "
        "moved to where the model goes, before its first byte, and deleted. `luci clean` completes what a crash "
        "interrupted and removes what no process uses; never delete these files while luci runs."
    )
    yield from block("luci clean --dry-run      # shows what would be removed, with sizes")
    for subject, paragraph in DISKS.items():
        yield from heading(subject)
        yield from text(paragraph)
