"""What the Hub means when it refuses: its own codes, told apart, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from luci_dl.errors import ResolveError
from luci_dl.text import printable

PAGES = "https://huggingface.co"
"""Where people accept licences and make tokens, wherever the files are asked for."""

_WHERE = re.compile(
    r"/(?:api/(?:models|datasets|spaces)/)?(?P<repo>(?:(?:datasets|spaces)/)?[^/]+/[^/]+)"
    r"/(?:resolve|revision|tree|refs)(?:/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?"
)
_LONGEST = 300


def hub_refusal(url: str, status: int, headers: Mapping[str, str]) -> ResolveError | None:
    """Why the Hub does not give what is at its address `url`; None when it does not say so in its own way."""
    found = _WHERE.search(urlsplit(url).path)
    said = printable(headers.get("x-error-message", "").strip())[:_LONGEST]
    code = headers.get("x-error-code", "").strip()
    if found is None or not (code or said) or not 400 <= status < 500:
        return None
    repo, revision, path = (printable(unquote(found[part] or "")) for part in ("repo", "revision", "path"))
    page, host = f"{PAGES}/{repo}", urlsplit(url).netloc
    refusals = {
        "GatedRepo": (
            f"{repo} is gated: {host} gives it to those who accepted its licence ({status})",
            f"Accept it at {page}, then set HF_TOKEN to a token of that account ({PAGES}/settings/tokens).",
        ),
        "RepoNotFound": (
            f"{host} has no repository {repo}, or it is private ({status})",
            f"Check the name at {page}. For a private one set HF_TOKEN ({PAGES}/settings/tokens).",
        ),
        "RevisionNotFound": (
            f'{repo} has no revision "{revision}", says {host} ({status})',
            f"Its branches, tags and commits: {page}/tree/main",
        ),
        "EntryNotFound": (f'{repo} has no file "{path}", says {host} ({status})', f"Its files: {page}/tree/main"),
    }
    if code in refusals:
        return ResolveError(*refusals[code])
    if "disabled" in said.lower():
        return ResolveError(f"{repo} is disabled, says {host} ({status}): {said}", f"Its page may say why: {page}")
    if status == 401:
        return ResolveError(
            f"{host} does not accept the token (401): {said}",
            f"Set HF_TOKEN to a token that holds ({PAGES}/settings/tokens), or remove the one that is saved.",
        )
    return ResolveError(f"{host} refuses {repo} ({status}): {said or printable(code)}", f"Its page may say why: {page}")
