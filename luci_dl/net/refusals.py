"""What a status without a body of the file means, by the table in `judge`."""

from __future__ import annotations

from luci_dl.errors import IntegrityError, LuciError, NetworkError
from luci_dl.net.bearer import account_required
from luci_dl.net.hub import hub_refusal
from luci_dl.net.origin import host_of, is_object
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, Remedy, retry_after_s
from luci_dl.net.situation import PATIENCE, Answer, Situation
from luci_dl.net.status import TRY_LATER, is_temporary, refusal

_OVERLOAD = {429, 503}
_EMPTY = {204, 205}
_EXPIRED = {400, 401, 403, 410}
"""What a host says of a signed address that has expired."""
_DECLINED: dict[str, tuple[Remedy, type[LuciError]]] = {
    "upstream_wrong": (Remedy.ELSEWHERE, IntegrityError),
    "upstream_refused": (Remedy.ELSEWHERE, NetworkError),
    "upstream_away": (Remedy.WAIT, NetworkError),
    "no_room": (Remedy.WAIT, NetworkError),
}
"""Why `luci serve` cannot send a file, by the code in its response."""
_OF_RANGES = {400, 401, 403, 405, 406, 412, 416, 501}
"""What servers say that would send the whole file, if only the request did not name a range."""


def refused(request: RangeRequest, answer: Answer, situation: Situation) -> Exception:
    """The error for the answer, an AttemptFailed if another attempt may succeed."""
    status, asked_to_wait = answer.status, retry_after_s(answer.headers)
    temporary = is_temporary(status, asked_to_wait)
    patient = situation.failures < PATIENCE
    may_have_expired = answer.host and status in _EXPIRED
    if answer.code in _DECLINED:
        return _declined(request, answer)
    if situation.located and 400 <= status < 500 and not temporary and status != 416:
        remedy = Remedy.FRESH_ADDRESS
    elif situation.beside:
        remedy = Remedy.FEWER if temporary or situation.ranges_served else Remedy.NO_RANGES
    elif temporary:
        remedy = Remedy.FEWER if status in _OVERLOAD else Remedy.WAIT
    elif may_have_expired and situation.failures < (PATIENCE if situation.served else 1):
        remedy = Remedy.FRESH_ADDRESS
    elif _may_be_about_the_range(request, answer, situation):
        remedy = Remedy.PROBE
    elif status in _EMPTY and patient:
        remedy = Remedy.WAIT
    else:
        return _final_refusal(request, answer)
    reason = f"{_sender(request, answer)} returned {status}" + (f": {answer.message}" if answer.message else "")
    return AttemptFailed(reason, asked_to_wait, remedy=remedy, hint=TRY_LATER)


def _declined(request: RangeRequest, answer: Answer) -> AttemptFailed:
    remedy, error = _DECLINED[answer.code]
    reason = f"{_sender(request, answer)} cannot send the file ({answer.status}): {answer.message or answer.code}"
    return AttemptFailed(reason, remedy=remedy, final=error(reason, TRY_LATER))


def _may_be_about_the_range(request: RangeRequest, answer: Answer, situation: Situation) -> bool:
    """Whether a plain request may be served. Stores of objects serve every range of what has a byte."""
    if is_object(request.url) and answer.status != 416:
        return False
    if not request.is_whole:
        return situation.failures >= PATIENCE or not situation.ranges_served
    return not request.plain and answer.status in _OF_RANGES and not _explained(request, answer)


def _final_refusal(request: RangeRequest, answer: Answer) -> LuciError:
    if explained := _explained(request, answer):
        return explained
    who = _sender(request, answer) if answer.host or answer.through else ""
    is_page = "html" in answer.headers.get("content-type", "").lower()
    error = refusal(request.url, answer.status, who, answer.message, is_page=is_page)
    if answer.host and answer.status in _EXPIRED:  # the origin has promised the file
        return NetworkError(error.message, "Run the command again later, or look for another address.")
    return error


def _explained(request: RangeRequest, answer: Answer) -> LuciError | None:
    """The error, if a registry, the Hub or a store of objects says what is wrong."""
    if is_object(request.url) and 300 <= answer.status < 500 and answer.status != 416:
        from luci_dl.net.objects import object_refusal  # which loads obstore

        return object_refusal(request.url, answer.status, answer.message, answer.code)
    if answer.repository and not answer.host and answer.status in (401, 403):
        return account_required(request.url, answer.status)
    return hub_refusal(request.url, answer.status, answer.headers)


def _sender(request: RangeRequest, answer: Answer) -> str:
    origin = host_of(request.url)
    who = f"{answer.host} (redirected from {origin})" if answer.host else origin
    return f"{who} through {answer.through}" if answer.through else who
