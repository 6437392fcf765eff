"""What luci tells programs (`--json`): the shapes, and what holds for all of them.

A command that works tells one event a line: `{"event": NAME, ...}`, with the fields of that class in events.py
(`NotDeleted` is "not_deleted"). A command that answers a question tells its answer in one line, as soon as it is there:

    list, search, catalog list   an array of models
    path, info                   one model; status: an array of what runs (with --watch, one such array a line)
    config list                  an array of settings; get, set, unset: one
    catalog check, add, update   one object
    version                      one object: versions by name

`help`, `completion` and `shell` are for people and shells, and have no `--json`; at the prompt each command takes it.

What fails is `{"event": "failed", "reference", "message", "hint", "exit_code"}`, with every command: of one model, or
(when `reference` is empty) of the whole command. An interrupt is `{"event": "stopped", "signum", "what"}`.

Sizes are whole bytes, rates bytes a second, durations seconds, times ISO 8601 in UTC, paths absolute. What is not known
is null, what there is nothing to say of is an empty text. All is ASCII: other characters are escaped. Keys and events
may be added with any version; none changes its meaning or goes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from luci_dl.api.info import Info
from luci_dl.gguf.reading import GgufFile
from luci_dl.library.installed import InstalledModel
from luci_dl.library.partials import Partial
from luci_dl.library.running import Running
from luci_dl.model import Model
from luci_dl.ui.figures import percent, seconds_left

Facts = dict[str, Any]


def entry_facts(model: Model) -> Facts:
    """A model of the catalog."""
    return {
        "name": model.reference,
        "aliases": model.aliases,
        "groups": model.groups,
        "tier": model.tier,
        "license": model.license,
        "size": model.size,
        "files": [
            {
                "name": artifact.name,
                "role": artifact.role,
                "size": artifact.size,
                "sha256": artifact.sha256,
                "lfs_pointer_sha1": artifact.lfs_pointer_sha1,
                "urls": artifact.urls,
            }
            for artifact in model.artifacts
        ],
    }


def installed_facts(model: InstalledModel) -> Facts:
    """An installed model."""
    return {
        "name": model.reference,
        "folder": str(model.folder),
        "path": str(model.to_load.path),
        "size": model.size,
        "state": model.state,
        "files": [
            {
                "path": str(file.path),
                "role": file.receipt.role,
                "size": file.receipt.size,
                "sha256": file.receipt.sha256,
                "proof": file.receipt.proof,
                "url": file.receipt.url,
                "installed": file.receipt.installed,
                "verified": file.receipt.verified,
                "state": file.state,
            }
            for file in model.files
        ],
    }


def info_facts(info: Info) -> Facts:
    """All that is known of one model."""
    return {
        "name": info.name,
        "catalog": entry_facts(info.entry) if info.entry else None,
        "installed": list(map(installed_facts, info.installed)),
        "gguf": list(map(_gguf_facts, info.gguf)),
        "partial": list(map(_partial_facts, info.partials)),
    }


def _gguf_facts(file: GgufFile) -> Facts:
    header = None
    if file.header:
        header = asdict(file.header) | {"tensor_types": dict(file.header.tensor_types)}
    return {"path": str(file.path), "header": header, "problem": file.problem}


def _partial_facts(partial: Partial) -> Facts:
    return {
        "path": str(partial.path),
        "target": str(partial.folder / partial.name),
        "done": partial.done,
        "total": partial.total,
        "running": partial.running,
    }


def running_facts(run: Running) -> Facts:
    """One model at which a luci is at work."""
    return asdict(run) | {
        "folder": str(run.folder),
        "percent": None if run.total is None else percent(run.done, run.total),
        "left": seconds_left(run.done, run.total, run.rate),
    }
