"""What a client is told when it does not get what it asked for: a status, the Hub's own error code, and why as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from luci_dl.errors import IntegrityError, Interrupted, LuciError, NetworkError, NotFound, StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.serve.answers import Refused
from luci_dl.serve.gate import Gated
from luci_dl.serve.pulls import Busy, NotAllowed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RETRY_S = 5
"""When a client that is told to come back should."""


@frozen
class Refusal:
    """A status, what the JSON calls it, and the Hub's code for it, if it has one."""

    status: int
    error: str
    hub_code: str = ""


_KINDS: tuple[tuple[type[LuciError], Refusal], ...] = (
    (UsageError, Refusal(400, "invalid")),
    (Gated, Refusal(403, "gated", "GatedRepo")),
    (NotAllowed, Refusal(403, "not_allowed")),
    (NotFound, Refusal(404, "not_found", "EntryNotFound")),
    (IntegrityError, Refusal(502, "upstream_wrong")),
    (Busy, Refusal(503, "busy")),
    (Interrupted, Refusal(503, "busy")),
    (NetworkError, Refusal(504, "upstream_away")),
    (StorageError, Refusal(507, "no_room")),
    (LuciError, Refusal(502, "upstream_refused")),
)
"""The first that fits."""


def refused(error: LuciError) -> web.Response:
    """The response that says so."""
    if isinstance(error, Refused):
        return web.Response(status=error.status, headers=error.headers, body=error.body)
    refusal = next(refusal for kind, refusal in _KINDS if isinstance(error, kind))
    status = 401 if isinstance(error, Gated) and not error.has_token else refusal.status
    headers = {"X-Error-Message": error.message.replace("\n", " ")}
    if refusal.hub_code:
        headers["X-Error-Code"] = refusal.hub_code
    if status == 503:
        headers["Retry-After"] = str(RETRY_S)
    facts = {"error": refusal.error, "message": error.message, "hint": error.hint}
    return web.json_response(facts, status=status, headers=headers)


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a handler raises becomes a response."""
    try:
        return await handler(request)
    except LuciError as error:
        return refused(error)
