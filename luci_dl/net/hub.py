"""Why the Hub refuses a request: its own error codes, in words, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from luci_dl.errors import NotFound, ResolveError
from luci_dl.net.sent_secrets import without_sent
from luci_dl.text import printable

HUB_SITE = "https://huggingface.co"
"""Where people accept licences and create tokens, even when the files come from a mirror."""

_RESOURCE = re.compile(
    r"/(?:api/(?:models|datasets|spaces)/)?(?P<repo>(?:(?:datasets|spaces)/)?[^/]+/[^/]+)"
    r"/(?:resolve|revision|tree|refs)(?:/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?"
)
_MAX_MESSAGE_LENGTH = 300
_TOKENS = f"{HUB_SITE}/settings/tokens"


def hub_refusal(url: str, status: int, headers: Mapping[str, str]) -> ResolveError | None:
    """Why the Hub does not serve its address `url`; None when the response is not in the Hub's own format."""
    found = _RESOURCE.search(urlsplit(url).path)
    reason = without_sent(printable(headers.get("x-error-message", "").strip()))[:_MAX_MESSAGE_LENGTH]
    code = headers.get("x-error-code", "").strip()
    if found is None or not (code or reason) or not 400 <= status < 500:
        return None
    repo, revision, path = (printable(unquote(found[part] or "")) for part in ("repo", "revision", "path"))
    page, host = f"{HUB_SITE}/{repo}", urlsplit(url).netloc
    refusals = {
        "GatedRepo": (
            f"{repo} is gated: {host} serves it only to accounts that accepted its licence ({status})",
            f"Accept it at {page}, then set HF_TOKEN to a token of that account ({_TOKENS}).",
        ),
        "RepoNotFound": (
            f"{host} has no repository {repo}, or it is private ({status})",
            f"Check the name at {page}. For a private repository, set HF_TOKEN ({_TOKENS}).",
        ),
        "RevisionNotFound": (
            f'{repo} has no revision "{revision}" on {host} ({status})',
            f"See its branches, tags and commits at {page}/tree/main",
        ),
        "EntryNotFound": (f'{repo} has no file "{path}" on {host} ({status})', f"See its files at {page}/tree/main"),
    }
    if code in refusals:
        return (NotFound if code.endswith("NotFound") else ResolveError)(*refusals[code])
    if "disabled" in reason.lower():
        return ResolveError(f"{repo} is disabled on {host} ({status}): {reason}", f"Its page may explain why: {page}")
    if status == 401:
        return ResolveError(
            f"{host} rejects the token (401): {reason}",
            f"Set HF_TOKEN to a valid token ({_TOKENS}), or remove the saved one.",
        )
    return ResolveError(
        f"{host} denies access to {repo} ({status}): {reason or printable(code)}", f"Its page may explain why: {page}"
    )
