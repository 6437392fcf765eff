"""`luci info`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from luci_dl.api.info import Info, info
from luci_dl.cli import complete, gguf_facts, json_shapes, session
from luci_dl.errors import LuciError
from luci_dl.library.installed import InstalledFile
from luci_dl.library.partials import Partial
from luci_dl.model import Artifact, Model
from luci_dl.text import here, human_size, printable
from luci_dl.ui.figures import percent

EPILOG = """\b
Examples:
  luci info mistral
  luci info mistral-7b-instruct-v0.2.Q4_K_M.gguf
  luci info mistral --json

\b
With --json: one object with "name", "catalog" (the entry, or null),
"installed" (an array, one model for each folder that has it), "gguf" (what
the header of each installed GGUF file says; null where that cannot be told)
and "partial" (what is half-fetched).
"""

PROOFS = {
    "sha256": "the SHA-256 that was given",
    "lfs pointer": "the Git LFS pointer",
    "git blob": "the SHA-1 that git has of it",
    "hub": "the SHA-256 that the Hub told",
    "none": "none: no digest was known",
}
STATES = {
    "ok": "size and time are as they were when it was verified",
    "changed": "it has changed since then; luci install checks and repairs it",
    "missing": "it is missing now; luci install fetches it again",
}

Row = tuple[str, str]


@click.command(epilog=EPILOG)
@click.argument("name", shell_complete=complete.known_or_installed)
@session.dir_option("Look into this models folder alone.")
@click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")
def command(name: str, folder: str | None, as_json: bool) -> int:
    """Tell everything that is known of one model, installed or not.

    NAME is a name or alias of the catalog, an address as it was installed, or the file's own name.
    """
    try:
        session.settings_for(folder)
        found = info(name, folder)
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if as_json:
        output.results([json.dumps(json_shapes.info_facts(found))])
    else:
        rows = (f"  {label:<11}{printable(text)}".rstrip() for label, text in _rows(found))
        output.results([printable(found.name), *rows])
    return 0


def _rows(found: Info) -> Iterator[Row]:
    if found.entry:
        yield from _of_entry(found.entry)
    if not found.installed:
        yield "Installed", "not yet" if found.partials else f"no; luci install {found.name}"
    headers = {file.path: file for file in found.gguf}
    for model in found.installed:
        for file in model.files:
            yield from _of_file(file)
            if file.path in headers:
                yield from gguf_facts.rows(headers[file.path])
        for name in model.lost:
            yield "Missing", str(model.folder / name)
    for partial in found.partials:
        yield from _of_partial(partial)


def _of_entry(model: Model) -> Iterator[Row]:
    yield "Aliases", ", ".join(model.aliases) or "none"
    yield "Groups", ", ".join(model.groups) or "none"
    yield "Tier", "none" if model.tier is None else str(model.tier)
    yield "License", model.license or "unknown"
    yield "Size", "unknown" if model.size is None else human_size(model.size)
    for artifact in model.artifacts:
        yield from _of_artifact(artifact)


def _of_artifact(artifact: Artifact) -> Iterator[Row]:
    yield "File", artifact.name + (" (projector)" if artifact.role == "projector" else "")
    if artifact.size is not None:
        yield "Bytes", str(artifact.size)
    if artifact.sha256:
        yield "SHA-256", artifact.sha256
    elif artifact.lfs_pointer_sha1:
        yield "LFS SHA-1", f"{artifact.lfs_pointer_sha1}, of the pointer that holds the SHA-256"
    else:
        yield "SHA-256", "unknown: whoever installs it has to trust the server"
    for url in artifact.urls:
        yield "Address", url


def _of_file(file: InstalledFile) -> Iterator[Row]:
    known = file.receipt
    yield "Installed", str(file.path)
    yield "Bytes", str(known.size)
    yield "SHA-256", known.sha256
    yield "From", known.url or "adopted: it was there already"
    yield "When", f"installed {_moment(known.installed)}, verified {_moment(known.verified)}"
    yield "Proof", PROOFS.get(known.proof, known.proof)
    yield "State", STATES[file.state]


def _of_partial(partial: Partial) -> Iterator[Row]:
    yield "Partial", str(partial.path)
    proved = human_size(partial.done)
    if partial.total is not None:
        proved += f" of {human_size(partial.total)}, {percent(partial.done, partial.total)} %"
    yield "Proved", proved
    yield "State", "a luci is at work on it" if partial.running else "the next install of it goes on from there"


def _moment(stamp: str) -> str:
    return here(stamp, "%Y-%m-%d %H:%M")
