"""Judges a response to a request for a file, or for a range of it. All of luci's trust in servers is in here.

A response speaks of one request, not of the file. What was served a moment ago is not forbidden; what a digest proves
needs no header to agree; what nothing proves is taken as the whole only if its length says so.

    response                                      situation                           verdict
    --------------------------------------------  ----------------------------------  ---------------------------------
    Content-Range within the request (any 2xx)    the size is known or stated         take; the rest is requested next
    Content-Range of another range                                                    no ranges
    no Content-Range, or one that makes no sense
      206 to a request for a range                                                    no ranges
      206 to a request for the whole file         it has the length of the file       take as whole
        as a range from byte 0                    else                                ask without a range
        without a range                           it has no length, or an unknown     take as whole
                                                  one, and there is a digest
                                                  else                                give up: integrity
    no Content-Range, or one of the whole file
      200, 203                                    no length, no digest                give up: integrity
                                                  requested the whole, or from 0      take as whole
                                                  requested a later range:
                                                    alone, at the only address        start over
                                                    else                              no ranges
    an empty body                                 the file is known not to be empty   wait
                                                  it is not known                     wait, the first two times
    a web page, JSON or XML by its type           instead of a later range            wait
      of another length than the file, or none    served before                       wait
                                                  the file's length is known          give up: integrity
    a body of another length than the file        served before, or a later range     wait, the first two times
      with its own ETag, and without a digest                                         start over
    a content coding                              a digest, or it is not a coding     take
                                                  else                                give up: network
    416 with the size where the range begins                                          take: the file ends there
    any other status
      with a reason of `luci serve`, in JSON      wrong or refused upstream           ask another server, or give up
                                                  else                                wait
                                                  the address is an earlier redirect
                                                  and it is a 4xx, not temporary      fresh address
                                                  other connections are receiving     fewer connections, or no ranges
                                                                                      if none was served, and it
                                                                                      is not temporary
      temporary: 202, 408, 421, 425, 429, most                                        wait; at 429 and 503 with fewer
        5xx, 403 that asks to wait
      204, 205                                    the first two times                 wait
      400, 401, 403, 410 after a redirect         served before: two times in a row   fresh address
                                                  else: once
      any other                                   a range, and none was ever served,  ask without a range
                                                  or two failures before it
                                                  the file from byte 0 on as a range,
                                                  and it may be about that            ask without a range
                                                  else                                give up, with the server's words

"Take" and "take as whole" are a `ResponseInfo`, "start over" is one that begins before the requested range. "Give up"
is a `LuciError`. The others are an `AttemptFailed` with the `Remedy`; `Fetch` carries it out. It gives up an address
that has served bytes only after `PATIENCE` failures in a row.
"""

from __future__ import annotations

from collections.abc import Mapping

from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.net.coding import CODINGS
from luci_dl.net.origin import host_of
from luci_dl.net.refusals import refused
from luci_dl.net.response import (
    RangeRequest,
    ResponseInfo,
    content_length,
    content_range,
    size_without_range,
    strong_etag,
)
from luci_dl.net.retry import AttemptFailed, Remedy
from luci_dl.net.situation import PATIENCE, Answer, Situation
from luci_dl.net.status import LOG_IN, TRY_LATER

WITH_BODY = {200, 203, 206}
"""The statuses whose body may be the file."""
MIN_PIECE = 1 << 16
"""Ranges that are cut shorter than this, in bytes, are not worth their requests."""
_DOCUMENTS = {
    "text/html": (".html", ".htm"),
    "application/xhtml+xml": (".xhtml", ".html", ".htm"),
    "application/json": (".json", ".jsonl"),
    "application/xml": (".xml",),
    "text/xml": (".xml",),
}
"""Types of web pages and error messages, and the names of files that may have them."""


def judge(request: RangeRequest, answer: Answer, situation: Situation) -> ResponseInfo:
    """What the response brings. Raises: AttemptFailed; LuciError, when no other attempt can help. See above."""
    if answer.status == 416 and request.start == size_without_range(answer.headers.get("content-range")):
        return ResponseInfo(request.start, 0, request.start, None, True, True, True)
    if answer.status not in WITH_BODY:
        raise refused(request, answer, situation)
    return _range(request, answer, situation) or _whole(request, answer, situation)


def check_empty(request: RangeRequest, situation: Situation) -> None:
    """Raises: AttemptFailed, for an empty body that may not be the file."""
    is_known = situation.size is not None or request.start
    if situation.size != 0 and (is_known or situation.failures < PATIENCE):
        raise AttemptFailed(f"{host_of(request.url)} sent nothing instead of {situation.name}", hint=TRY_LATER)


def _codings(headers: Mapping[str, str], provable: bool) -> set[str]:
    """The codings that change the bytes; those of a file that a digest will prove may be none."""
    transfer = headers.get("transfer-encoding", "").strip().lower()
    if transfer not in ("", "identity", "chunked"):
        return {transfer}
    coding = "" if provable else headers.get("content-encoding", "")
    return {name.strip().lower() for name in coding.split(",")} & CODINGS


def _coded(request: RangeRequest, codings: set[str], provable: bool) -> NetworkError:
    problem = f"{host_of(request.url)} sent the file {', '.join(sorted(codings))}-encoded, which luci did not request"
    by_digest = "If the bytes are right nevertheless, give their digest with --sha256."
    return NetworkError(problem, "Try another address, or another network." if provable else by_digest)


def _range(request: RangeRequest, answer: Answer, situation: Situation) -> ResponseInfo | None:
    """The range that the response says it brings; None when it says nothing, or means the whole file.

    Raises: AttemptFailed, when the ranges of this server cannot be used.
    """
    found, length = content_range(answer.headers.get("content-range")), _length(answer.headers)
    if found is None or length not in (None, found[1] - found[0]):
        if answer.status != 206 or request.is_whole or (request.start == 0 and length == situation.size):
            return None
        raise _no_ranges("the server sent a range without a valid Content-Range")
    start, end, size = found[0], found[1], found[2] or situation.size
    other_size = not request.is_whole and situation.size not in (None, size)
    if (start, end) == (0, size) and request.start:
        return None
    wanted = size if request.end is None else request.end
    if (
        other_size
        or start != request.start
        or size is None
        or wanted is None
        or end - start < min(MIN_PIECE, wanted - start)
    ):
        requested = f"{request.start}-{'' if request.end is None else request.end - 1}"
        raise _no_ranges(f"the server sent bytes {start}-{end - 1} of {size or '*'}, but {requested} were requested")
    if codings := _codings(answer.headers, situation.provable):
        raise _coded(request, codings, situation.provable)
    validator = strong_etag(answer.headers.get("etag"))
    is_other = None not in (validator, request.validator) and validator != request.validator
    if situation.beside and is_other:
        raise _no_ranges("the server has another version of the file than the one it is sending")
    return ResponseInfo(start, end - start, size, validator, True, True, True)


def _whole(request: RangeRequest, answer: Answer, situation: Situation) -> ResponseInfo:
    """The response as the whole file. Raises: AttemptFailed; LuciError."""
    headers, length, chunked = answer.headers, _length(answer.headers), _is_chunked(answer.headers)
    span = content_range(headers.get("content-range"))
    is_stated = span is not None and span[:2] == (0, span[2]) and length in (None, span[1])
    length = span[1] if span and is_stated else length
    _check_kind(request, answer, situation)
    known = situation.size is not None or situation.provable
    fits = situation.provable if length is None else known and situation.size in (None, length)
    if answer.status == 206 and not is_stated:
        problem = "sent a part of the file (206) without saying which"
        if not request.plain and (length is None or length != situation.size):
            raise AttemptFailed(f"the server {problem}", remedy=Remedy.PROBE)
        if not fits:
            raise _unclear(request, problem)
    if length is None and not (chunked or known):
        raise _unclear(request, "does not say how long the file is, so luci cannot tell if it is complete")
    if request.start and (situation.beside or not situation.only_url):
        raise _no_ranges("the server sent the whole file instead of the requested range")
    supports_ranges = headers.get("accept-ranges", "").strip().lower() == "bytes"
    validator = strong_etag(headers.get("etag"))
    delimited = chunked or length is not None
    size = length if delimited or situation.provable else situation.size  # nothing else would show that it was cut
    return ResponseInfo(0, length, size, validator, delimited, supports_ranges)


def _check_kind(request: RangeRequest, answer: Answer, situation: Situation) -> None:
    """Raises: AttemptFailed, IntegrityError or NetworkError, for what cannot be the file."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_page = kind in _DOCUMENTS and not situation.name.lower().endswith(_DOCUMENTS[kind])
    length, size = _length(answer.headers), situation.size
    is_other = None not in (length, size) and length != size
    begun = bool(request.start) or situation.served
    host, codings = host_of(request.url), _codings(answer.headers, situation.provable and not is_other)
    if length == 0:
        check_empty(request, situation)
    if is_page and (is_other or codings or (request.start and length is None)):
        message = f"{host} sent {'a web page' if 'html' in kind else kind} instead of {situation.name}"
        if begun:
            raise AttemptFailed(message, hint=LOG_IN)
        raise IntegrityError(message, f"{LOG_IN} The server itself may require one, too: open the address.")
    if codings:
        raise _coded(request, codings, situation.provable)
    validator = strong_etag(answer.headers.get("etag"))
    has_version = not situation.provable and validator not in (None, request.validator)
    if is_other and begun and situation.failures < PATIENCE and not has_version:
        raise AttemptFailed(f"{host} sent {length} bytes instead of the {size} of {situation.name}", hint=TRY_LATER)


def _length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body; None when it ends with its last chunk, or with the connection."""
    return None if _is_chunked(headers) else content_length(headers.get("content-length"))


def _is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("transfer-encoding", "").strip().lower() == "chunked"


def _unclear(request: RangeRequest, problem: str) -> IntegrityError:
    return IntegrityError(f"{request.url}: the server {problem}", "Give its digest with --sha256.")


def _no_ranges(reason: str) -> AttemptFailed:
    return AttemptFailed(reason, remedy=Remedy.NO_RANGES)
