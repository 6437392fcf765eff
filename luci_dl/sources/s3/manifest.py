"""The manifest of a model in a bucket: `luci.json` in the folder of the model, which `luci push` writes last.

    {"v": 1, "reference": "llama3.2",
     "files": [{"name": "llama3.2.gguf", "key": "HEX/llama3.2.gguf", "size": 1, "sha256": "HEX", "role": "model"}],
     "kept": {"sha256:HEX": "base64"}}

`reference`: what the model was installed by, where it was pushed. `files`: the one to load first; `name` is the path
below the models folder, `key` the one below the folder of the manifest: it begins with the digest, so that no version
overwrites another one. `kept`: as `Model.kept`. Whoever may write to the bucket may change it: all of it is checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from luci_dl.errors import LuciError, ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.model import MANIFEST, MAX_KEPT
from luci_dl.names import check_digest, check_name, target_key
from luci_dl.sources.s3.place import plain, problem_of_key
from luci_dl.text import MOST_BYTES, printable, shown

FILE_NAME = "luci.json"
VERSION = 1
MAX_BYTES = 16 << 20
"""Size limit of a manifest."""
_ROLES = ("model", "projector")


@frozen
class Entry:
    """One file."""

    name: str
    key: str
    size: int
    sha256: str
    role: str


@frozen
class Manifest:
    """What is in a manifest, checked."""

    reference: str
    files: tuple[Entry, ...]
    kept: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)

    def to_json(self) -> bytes:
        facts = {"v": VERSION, **asdict(self)}
        return json.dumps(facts, indent=1, ensure_ascii=False).encode() + b"\n"


def entry_for(name: str, size: int, sha256: str, role: str) -> Entry:
    """The entry of a file that is pushed."""
    return Entry(name, f"{sha256}/{plain(name.rpartition('/')[2])}", size, sha256, role)


def read_manifest(body: bytes, what: str) -> Manifest:
    """The manifest that messages call `what`. Raises: ResolveError, if it is invalid, or of a newer version."""
    try:
        facts = json.loads(body)
        if isinstance(facts, dict) and facts.get("v") != VERSION:
            version = shown(facts.get("v"))
            raise ResolveError(f"{what} has version {version}, this luci knows version {VERSION}", "Update luci.")
        manifest = Manifest(
            _text(facts["reference"]), tuple(map(_entry, facts["files"])), _checked_kept(facts.get("kept", {}))
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _invalid(what, "it is not what luci writes") from error
    except UsageError as error:
        raise _invalid(what, error.message) from error
    names = {target_key(entry.name) for entry in manifest.files}
    if not names or len(names) < len(manifest.files):
        raise _invalid(what, "it lists no file, or two of one name")
    return manifest


def _invalid(what: str, why: str) -> LuciError:
    return ResolveError(f"{what} is not a valid manifest: {printable(why)}", "Push the model there again.")


def _entry(facts: Any) -> Entry:
    """Raises: KeyError, TypeError, ValueError, UsageError, for what is not the entry of a file."""
    key, size, role = _text(facts["key"]), facts["size"], facts["role"]
    if problem := problem_of_key(key):
        raise ValueError(problem)
    if type(size) is not int or not 0 <= size <= MOST_BYTES or role not in _ROLES:
        raise ValueError("a size or a role")
    sha256 = check_digest(_text(facts["sha256"]), 64, "a sha256 in it")
    return Entry(check_name(_text(facts["name"])), key, size, sha256, role)


def _checked_kept(kept: Any) -> dict[str, str]:
    """Raises: ValueError, TypeError, for what is not as `Model.kept`, or has other bytes than its digests say."""
    if not isinstance(kept, dict) or sum(len(_text(data)) for data in kept.values()) > 2 * MAX_KEPT:
        raise ValueError("kept")
    for name, data in kept.items():
        try:
            digest = hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
        except binascii.Error as error:
            raise ValueError(name) from error
        if name not in (MANIFEST, f"sha256:{digest}"):
            raise ValueError(name)
    return dict(kept)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
