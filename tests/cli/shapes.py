"""The promised shapes of `--json`: the keys of each answer and of each event, with the types of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NUMBER = (int, float)


@dataclass(frozen=True)
class Maybe:
    """That shape, or null."""

    shape: Any


FILE = {
    "name": str,
    "role": str,
    "size": Maybe(int),
    "sha256": Maybe(str),
    "lfs_pointer_sha1": Maybe(str),
    "blob_sha1": Maybe(str),
    "urls": [str],
}
ENTRY = {
    "name": str,
    "aliases": [str],
    "family": str,
    "groups": [str],
    "tier": Maybe(int),
    "license": Maybe(str),
    "size": Maybe(int),
    "files": [FILE],
}
MEMORY = {"total": int, "free": Maybe(int)}
LOAD = {
    "verdict": Maybe(str),
    "needed": int,
    "weights": int,
    "estimated": bool,
    "cache": Maybe(int),
    "context": int,
    "memory": Maybe(MEMORY),
    "graphics": Maybe(MEMORY),
}
OFFERED = ENTRY | {
    "installed": bool,
    "size_about": Maybe(int),
    "fits": {"disk": Maybe(bool), "memory": Maybe(bool), "running": Maybe(LOAD)},
}
INSTALLED_FILE = {
    "path": str,
    "role": str,
    "size": int,
    "sha256": str,
    "proof": str,
    "url": str,
    "installed_at": str,
    "verified_at": str,
    "state": str,
}
INSTALLED = {"name": str, "folder": str, "path": str, "size": int, "state": str, "files": [INSTALLED_FILE]}
STANDING = {
    "name": str,
    "folder": str,
    "state": str,
    "reason": str,
    "installed": str,
    "available": Maybe(str),
    "fetch": Maybe(int),
}
HEADER = {
    "version": int,
    "big_endian": bool,
    "architecture": Maybe(str),
    "name": Maybe(str),
    "license": Maybe(str),
    "file_type": Maybe(str),
    "context_length": Maybe(int),
    "tokenizer": Maybe(str),
    "tokens": Maybe(int),
    "shard": Maybe(int),
    "shards": Maybe(int),
    "parameters": int,
    "tensors": int,
    "tensor_types": dict,
    "needed": int,
}
INFO = {
    "name": str,
    "catalog": Maybe(ENTRY),
    "installed": [INSTALLED],
    "gguf": [{"path": str, "header": Maybe(HEADER), "problem": str}],
    "partial": [{"path": str, "target": str, "done": int, "total": Maybe(int), "running": bool}],
    "running": Maybe(LOAD),
    "quantisations": [
        {
            "label": str,
            "reference": str,
            "files": [str],
            "size": int,
            "is_default": bool,
            "installed": bool,
            "fit": LOAD,
        }
    ],
}
RUNNING = {
    "model": str,
    "command": str,
    "folder": str,
    "names": [str],
    "done": int,
    "total": Maybe(int),
    "percent": Maybe(int),
    "rate": NUMBER,
    "seconds_left": Maybe(int),
    "pid": int,
    "host": str,
    "user": str,
    "since": str,
}
SETTING = {"name": str, "value": object, "origin": str, "purpose": Maybe(str), "problem": Maybe(str)}
CATALOG_CHECK = {
    "file": Maybe(str),
    "models": int,
    "files": int,
    "without_digest": [str],
    "overrides": [{"name": str, "model": str, "built_in": str}],
    "warnings": [str],
    "problems": [str],
}
CATALOG_ADD = {"file": str, "added": [str], "replaced": [str], "unchanged": [str]}
CATALOG_UPDATE = {
    "file": str,
    "written": bool,
    "compared": int,
    "skipped": int,
    "not_on_hub": int,
    "changes": [{"model": str, "file": str, "key": str, "old": Maybe((str, int)), "new": (str, int)}],
    "problems": [{"message": str, "hint": str, "exit_code": int}],
}

_PROGRESS = {"name": str, "done": int, "total": Maybe(int), "rate": NUMBER}
EVENTS: dict[str, dict[str, Any]] = {
    "planned": {"models": [str], "total": int, "at_least": bool},
    "waiting": {
        "name": str,
        "pid": Maybe(int),
        "host": Maybe(str),
        "since": Maybe(str),
        "command": Maybe(str),
        "done": Maybe(int),
        "total": Maybe(int),
        "rate": Maybe(NUMBER),
    },
    "fallback_folder_used": {"reference": str, "folder": str, "reason": str},
    "started": {"name": str, "total": Maybe(int), "offset": int},
    "swarming": {"name": str, "host": str},
    "sharing": {"names": [str], "hosts": int, "seconds": float},
    "serving": {"name": str, "host": str, "reason": str},
    "small_files": {"reference": str, "names": [str], "total": int},
    "progress": _PROGRESS,
    "copying": _PROGRESS,
    "uploading": _PROGRESS,
    "copy_found": {"name": str, "path": str, "location": str, "size": int},
    "hashing": {"name": str, "done": int, "total": int},
    "retrying": {"name": str, "reason": str, "delay": NUMBER, "attempt": int, "max_attempts": int},
    "requested": {
        "method": str,
        "url": str,
        "range": str,
        "masked_headers": [str],
        "status": Maybe(int),
        "seconds": NUMBER,
        "reason": str,
    },
    "chosen": {"reference": str, "chosen": str, "size": int, "verdict": str, "numbers": str},
    "warned": {"message": str},
    "installed": {"reference": str, "paths": [str], "size": int, "outcome": str, "fetched": int, "seconds": NUMBER},
    "compared": {"reference": str, "folder": str, "state": str, "reason": str, "fetch": Maybe(int)},
    "superseded": {"reference": str, "path": str, "dry_run": bool},
    "deleted": {"name": str, "command": str},
    "not_deleted": {"name": str, "reason": str, "path": str},
    "kept": {"name": str, "done": int, "total": Maybe(int), "command": str},
    "stopped": {"signum": Maybe(int), "operation": str},
    "failed": {"reference": str, "message": str, "hint": str, "exit_code": int},
    "summary": {"installed": [str], "interrupted": [str], "failed": [[str]], "not_started": [str]},
    "would_install": {
        "reference": str,
        "name": str,
        "path": str,
        "action": str,
        "urls": [str],
        "size": Maybe(int),
        "proof": str,
        "digest": str,
        "digest_origin": str,
        "done": int,
        "copy_path": str,
        "copy_location": str,
        "lock_holder": str,
    },
    "disk_space": {"folder": str, "needed": int, "at_least": bool, "free": int, "min_free": int, "enough": bool},
    "cleaned": {"path": str, "kind": str, "freed": int, "dry_run": bool},
    "rolled_forward": {"name": str},
    "verified": {
        "name": str,
        "path": str,
        "reference": str,
        "state": str,
        "expected": str,
        "found": str,
        "damaged": [[int]],
    },
    "verify_summary": {"files": int, "wrong": int, "unmanaged": int},
    "removed": {"reference": str, "paths": [str], "freed": int, "dry_run": bool},
    "serve_started": {"address": str, "folder": str, "pull": bool, "for_others": bool},
    "linked": {
        "reference": str,
        "target": str,
        "name": str,
        "root": str,
        "paths": [str],
        "how": str,
        "usage": str,
        "dry_run": bool,
    },
    "unlinked": {"reference": str, "target": str, "name": str, "paths": [str], "dry_run": bool},
    "moved": {
        "reference": str,
        "paths": [str],
        "source": str,
        "folder": str,
        "outcome": str,
        "size": int,
        "copied": int,
        "dry_run": bool,
    },
    "export_summary": {"folder": str, "files": int, "size": int, "sums": str},
    "left_alone": {"path": str, "reason": str},
    "clean_summary": {"removed": int, "freed": int, "left_alone": int, "dry_run": bool},
    "finding": {"topic": str, "level": str, "message": str, "hint": str, "exit_code": int},
}


def misfits(value: Any, shape: Any, where: str = "it") -> list[str]:
    """Where the value does not have that shape."""
    if isinstance(shape, Maybe):
        return [] if value is None else misfits(value, shape.shape, where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where} is not an array: {value!r}"]
        return [fault for number, item in enumerate(value) for fault in misfits(item, shape[0], f"{where}[{number}]")]
    if isinstance(shape, dict):
        if not isinstance(value, dict) or value.keys() != shape.keys():
            return [f"{where} has other keys: {value!r}"]
        return [fault for key, item in value.items() for fault in misfits(item, shape[key], f"{where}.{key}")]
    is_bool = isinstance(value, bool) and shape not in (bool, object)  # a bool is an int in Python
    return [f"{where} is of another type: {value!r}"] if is_bool or not isinstance(value, shape) else []


def events_misfits(lines: list[dict[str, Any]]) -> list[str]:
    """Where the events do not have their shapes."""
    faults = []
    for line in lines:
        kind = line.get("event", "")
        rest = {key: value for key, value in line.items() if key != "event"}
        faults += misfits(rest, EVENTS[kind], kind) if kind in EVENTS else [f"there is no event {kind!r}"]
    return faults
