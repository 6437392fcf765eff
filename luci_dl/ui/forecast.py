"""The sentences of a dry run."""

from __future__ import annotations

from luci_dl.events import DiskSpace, WouldInstall
from luci_dl.figures import percent
from luci_dl.model import Digest
from luci_dl.text import human_size, printable

INDENT = "   "
_PROOFS = {digest.proof: digest.label for digest in Digest}
_ORIGINS = {
    "catalog": "from the catalog",
    "hub": "from the Hub",
    "registry": "from the registry",
    "bucket": "from the bucket",
    "user": "given by you",
    "server": "from its server",
}


def would_install(event: WouldInstall) -> list[str]:
    """What would be done, from where to where, and what proves the bytes."""
    size = "size unknown" if event.size is None else human_size(event.size)
    rows = [("To", event.path)]
    if event.action in ("copy", "resume", "download"):
        sources = [event.copy_path, *event.urls] if event.copy_path else list(event.urls)
        rows = [*zip(["From", *["or"] * (len(sources) - 1)], sources, strict=True), *rows, ("Proof", _proof(event))]
    first = f"{printable(event.name)} ({size}): {_action(event)}"
    return [first, *(f"{INDENT}{label:<7}{printable(text)}" for label, text in rows)]


def disk_space(event: DiskSpace) -> list[str]:
    """What is needed and free on one file system."""
    needed = f"{'at least ' if event.at_least else ''}{human_size(event.needed)} needed"
    reserve = f" ({human_size(event.min_free)} must stay free)" if event.min_free else ""
    verdict = "" if event.enough else ": not enough"
    free = "an unknown amount" if event.free is None else human_size(event.free)
    return [f"Space at {printable(event.folder)}: {needed}, {free} free{reserve}{verdict}"]


def _action(event: WouldInstall) -> str:
    match event.action:
        case "already":
            return "is already installed"
        case "adopt":
            return "is there already, and right; would be adopted"
        case "newer":
            return "is installed, but a newer version exists; --force would replace it"
        case "elsewhere":
            return "is installed from another address, which may have had another file; --force would replace it"
        case "complete":
            return "its install was cut off after the last check; would be completed"
        case "wait":
            return printable(f"would wait for {event.lock_holder or 'the other files of the model'}")
        case "copy":
            rest = f", from {_kept(event)} on" if event.done else ""
            return printable(f"would be copied from {event.copy_location}{rest}, if it is right")
        case "resume":
            return f"would resume at {_kept(event)}"
    return "would be downloaded"


def _kept(event: WouldInstall) -> str:
    kept = human_size(event.done, " ")
    return f"{percent(event.done, event.size)} % ({kept} kept)" if event.size else f"{kept} (kept)"


def _proof(event: WouldInstall) -> str:
    if event.proof == "none":
        return "none: no digest is available, so only its length and first bytes can be checked"
    return f"{_PROOFS[event.proof]} {_ORIGINS[event.digest_origin]}, {event.digest}"
