"""What goes wrong with one request."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.servers import faults
from tests.servers.faults import Fault
from tests.torture.behaviours import ALWAYS, BEGUN, DIGEST, KIB, OFF, PATIENT, Behaviour, fixed, made, soon


def _within(random: Random, data: bytes) -> int:
    return random.choice([0, 1, random.randrange(len(data)), len(data) - 1, max(0, len(data) - KIB)])


def _page(random: Random, data: bytes) -> Fault:
    texts = {"text/html": faults.PAGE, "application/json": b'{"error": "no"}', "text/plain": faults.POINTER}
    kind = random.choice([*texts, "application/xml", "application/octet-stream"])
    body = texts.get(kind, b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>')
    return faults.page(body, kind) + random.choice([Fault(), faults.chunked(), faults.headers(ETag='"page"')])


MISHAPS: Mapping[str, Behaviour] = (
    made(
        ALWAYS,
        cut=lambda random, data: faults.cut(_within(random, data), reset=random.random() < 0.3),
        cut_chunks=lambda random, data: faults.chunked() + faults.cut(_within(random, data)),
        busy=lambda random, _: soon(random),
        cut_head=lambda random, _: faults.garbage(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"[: random.randrange(40)]
        ),
        long_announced=lambda random, _: faults.announce(random.choice([1, 99])),
        late=lambda random, _: faults.trickle(random.choice([3e5, 1e6])),
        stalled=lambda random, data: random.choice([faults.stall(_within(random, data)), faults.stall_head()]),
    )
    | fixed(
        ALWAYS,
        no_last_chunk=faults.no_last_chunk(),
        bad_chunk=faults.chunk_sizes(b"zz\r\n"),
        endless_error=faults.endless_error(503),
        accepted=faults.status(202, body=b"preparing"),
    )
    | fixed(PATIENT, empty=faults.status(200), no_content=faults.status(204))
    | made(
        DIGEST,
        cut_line=lambda random, data: faults.close_delimited() + faults.cut(random.randrange(len(data))),
        range_lies=lambda random, _: random.choice([faults.wrong_range(7), faults.wrong_range(total=7)]),
    )
    | made(
        BEGUN,
        page=_page,
        refused=lambda random, _: faults.status(random.choice([400, 401, 403, 404, 410, 416, 451, 501, 511])),
        page_refused=lambda random, _: faults.login_page(random.choice([403, 511])),
        not_http=lambda *_: faults.garbage(),
        loop=lambda *_: faults.redirect("/loop"),
        gzip=lambda *_: faults.gzipped(),
    )
    | made(
        BEGUN,
        lies=True,
        short=lambda random, data: faults.shorter(random.randrange(1, len(data))),
        long=lambda random, _: faults.longer(random.choice([1, 5000])),
    )
    | made(
        OFF,
        lies=True,
        flipped=lambda random, data: faults.flipped(random.randrange(len(data))),
        short_announced=lambda random, data: faults.announce(-random.randrange(1, len(data))),
        other=lambda random, data: faults.changed(data[::-1]),
        other_begun=lambda random, data: faults.changed(data[: len(data) // 2] + b"other" + data[len(data) // 2 :]),
    )
)
