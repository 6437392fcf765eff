"""`luci info`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from luci_dl.api.info import CONTEXT, Info, Partial, info
from luci_dl.api.list import InstalledFile
from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, fit_rows, gguf_rows, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.events import Emit
from luci_dl.figures import percent
from luci_dl.model import Artifact, Digest, Model
from luci_dl.text import human_size, local_time, printable

PROOFS = {
    **{digest.proof: f"the {digest.label} that was given" for digest in Digest},
    "hub": "the SHA-256 reported by the Hub",
    "none": "none: no digest was available",
}
STATES = {
    "ok": "size and time are unchanged since it was verified",
    "touched": "only its time has changed since it was verified; luci path and luci install check it before it is used",
    "changed": "it has changed since it was verified; luci install checks and repairs it",
    "missing": "it is missing; luci install fetches it again",
}

Row = tuple[str, str]


@click.command(
    epilog=options.examples(
        "luci info mistral",
        "luci info mistral-7b-instruct-v0.2.Q4_K_M.gguf",
        "luci info hf:unsloth/Qwen3-8B-GGUF",
        "luci info mistral --context 32768 --json",
    )
)
@click.argument("name", shell_complete=complete.known_or_installed)
@click.option(
    "--context",
    type=int,
    default=CONTEXT,
    metavar="TOKENS",
    help="Say what it takes to run the model with so many tokens of context.",
    show_default=True,
)
@options.folder("Look into this models folder only.")
@options.json_answer
def command(name: str, context: int, folder: str | None, as_json: bool) -> int:
    """Show everything known about one model, installed or not.

    NAME is a name or alias from the catalog, an address as it was installed, or a file name. For hf:OWNER/REPO the Hub
    is asked, and each of its quantisations is listed: how large it is, and whether it fits this machine.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        found = info(name, folder, context=context, token=token, emit=session.warn if as_json else emit)
        session.output().results([answer("info", found)] if as_json else _lines(found))
        return 0

    return session.run(work, json=as_json, what="Look-up")


def _lines(found: Info) -> list[str]:
    rows = [f"  {label:<11}{printable(text)}".rstrip() for label, text in _rows(found)]
    listed = fit_rows.table_of(found.quantisations)
    return [printable(found.name), *rows, *(table(listed, session.output().out, (0,)) if found.quantisations else [])]


def _rows(found: Info) -> Iterator[Row]:
    if found.entry:
        yield from _of_entry(found.entry)
    if found.running:
        yield from fit_rows.rows(found.running)
    if not found.installed and (found.entry or found.partials):
        yield "Installed", "not yet" if found.partials else f"no; luci install {found.name}"
    headers = {file.path: file for file in found.gguf}
    for model in found.installed:
        for file in model.files:
            yield from _of_file(file)
            if file.path in headers:
                yield from gguf_rows.rows(headers[file.path])
        for name in model.lost:
            yield "Missing", str(model.folder / name)
    for partial in found.partials:
        yield from _of_partial(partial)


def _of_entry(model: Model) -> Iterator[Row]:
    yield "Aliases", ", ".join(model.aliases) or "none"
    yield "Family", model.family
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
    if artifact.best_digest:
        yield artifact.best_digest.label, artifact.best_hex
    else:
        yield "SHA-256", "unknown: an install has to trust the server"
    for url in artifact.public_urls:
        yield "Address", url


def _of_file(file: InstalledFile) -> Iterator[Row]:
    receipt = file.receipt
    yield "Installed", str(file.path)
    yield "Bytes", str(receipt.size)
    yield "SHA-256", receipt.sha256
    yield "From", receipt.url or "adopted: the file existed already"
    yield "When", f"installed {_moment(receipt.installed)}, verified {_moment(receipt.verified)}"
    yield "Proof", PROOFS.get(receipt.proof, receipt.proof)
    yield "State", STATES[file.state]


def _of_partial(partial: Partial) -> Iterator[Row]:
    yield "Partial", str(partial.path)
    verified = human_size(partial.done)
    if partial.total is not None:
        verified += f" of {human_size(partial.total)}, {percent(partial.done, partial.total)} %"
    yield "Verified", verified
    yield "State", "being downloaded now" if partial.running else "the next install resumes it"


def _moment(stamp: str) -> str:
    return local_time(stamp, "%Y-%m-%d %H:%M")
