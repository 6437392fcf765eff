"""The cache of huggingface_hub, which transformers, vLLM and llama.cpp read, too. Source: huggingface_hub's
`file_download.py`; `etag`, `refs` and `snapshots` are its words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.errors import ResolveError
from luci_dl.library import runners
from luci_dl.library.links.base import Draft, Question, file_entry
from luci_dl.library.links.entries import Entry
from luci_dl.text import printable

NAME = "hf"
NEEDS_HUB = True
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by huggingface_hub.
# For information about cache directory tags, see https://bford.info/cachedir/
"""


def place() -> Path:
    """As `base.Target`: the cache is made where it is missing."""
    return runners.hub_cache(os.environ)


def draft(question: Question, root: Path) -> Draft:
    """As `base.Target`."""
    places = question.hub or {}
    missing = [file.receipt.name for file in question.model.files if file.receipt.name not in places]
    if missing:
        raise ResolveError(
            f"{printable(question.name)} cannot be linked to hf: {printable(missing[0])} is not known to be on the Hub",
            "Link it to another program, or install it by a Hub reference: luci install hf:OWNER/REPO",
        )
    found = [places[file.receipt.name] for file in question.model.files]
    if len({(place.repo, place.commit) for place in found}) > 1:
        raise ResolveError(
            f"{printable(question.name)} cannot be linked to hf: its files are from several repositories or commits",
            "Install it by one Hub reference: luci install hf:OWNER/REPO",
        )
    first, repo = found[0], root / f"models--{found[0].repo.replace('/', '--')}"
    entries = list(_files(question, repo))
    notes = []
    ref = repo / "refs" / first.revision
    if first.revision:
        current = _ref(ref)
        if current in ("", first.commit) or current in _linked_commits(repo):
            entries.append(Entry("text", ref, content=first.commit.encode()))
        else:
            notes.append(
                f"{ref} stays at {current[:12]}, which another program chose; name the commit to use what is linked: "
                f"{first.commit}"
            )
    tag = root / "CACHEDIR.TAG"
    if not os.path.lexists(tag):
        entries.insert(0, Entry("text", tag, content=_TAG, shared=True))
    name = first.repo if first.revision in ("", "main") else f"{first.repo}@{first.revision}"
    usage = f"HF_HUB_OFFLINE=1 llama-server -hf {first.repo}" if first.path.endswith(".gguf") else ""
    return Draft(root, f"{name}/{first.path}", tuple(entries), tuple(notes), usage)


def _files(question: Question, repo: Path) -> Iterator[Entry]:
    places = question.hub or {}
    for file in question.model.files:
        place = places[file.receipt.name]
        yield file_entry(file, repo / "blobs" / place.etag, named_by_digest=True)
        pointer = repo / "snapshots" / place.commit / place.path
        up = "../" * (2 + place.path.count("/"))
        yield Entry("symlink", pointer, content=f"{up}blobs/{place.etag}".encode())


def _ref(path: Path) -> str:
    try:
        return runners.read_note(path).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _linked_commits(repo: Path) -> set[str]:
    """The commits that luci itself made the refs of this repository stand at."""
    from luci_dl.library.folder import skip
    from luci_dl.library.links.record import records

    refs = repo / "refs"
    return {
        entry.content.decode()
        for link in records(skip)
        for entry in link.entries
        if entry.kind == "text" and refs in entry.path.parents and entry.owned
    }


def used_elsewhere(root: Path, entries: Sequence[Entry]) -> set[Path]:
    """The blobs of these entries that other snapshots point to."""
    own = {entry.path for entry in entries}
    repos = {entry.path.parent.parent for entry in entries if entry.path.parent.name == "blobs"}
    found = set()
    for repo in repos:
        for where, _folders, names in os.walk(repo / "snapshots"):
            for pointer in (Path(where, name) for name in names):
                if pointer not in own and pointer.is_symlink():
                    found.add(Path(os.path.normpath(pointer.parent / os.readlink(pointer))))
    return found
