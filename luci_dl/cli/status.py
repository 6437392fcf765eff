"""`luci status`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import click

from luci_dl.api.status import Running, status
from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.cli import options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import Interrupted
from luci_dl.events import Emit
from luci_dl.figures import clock, percent, seconds_left
from luci_dl.text import human_size, time_of_day
from luci_dl.ui.live_region import LiveRegion
from luci_dl.ui.stream import Output, Stream

INTERVAL_S = 1.0
"""Between two updates of `--watch`, in seconds; a lock holder updates its progress once a second."""
NOTHING = "Nothing is being installed."
_TITLES = ("MODEL", "DONE", "SPEED", "LEFT", "PID", "USER", "HOST", "SINCE")
_OPTIONAL = tuple(map(_TITLES.index, ("SPEED", "LEFT", "PID", "SINCE", "USER", "HOST")))
"""What a narrow terminal does not show, the last one first."""


@click.command(epilog=options.examples("luci status", "luci status --watch", "luci status --json"))
@options.flag("-w", "--watch", help="Update every second, until Ctrl+C.")
@options.folder("Look into this models folder only.")
@options.json_answer
def command(watch: bool, folder: str | None, as_json: bool) -> int:
    """Show what luci is installing now.

    That is in every terminal, and in every models folder that was ever used.
    """
    output = session.output()
    if watch:
        return _watch(folder, output, as_json)
    found = status(folder, emit=session.warn)
    if as_json:
        output.results([answer("status", found)])
    elif found:
        output.results(as_table(found, output.out))
    else:
        output.say([NOTHING])
    return 0


def _watch(folder: str | None, output: Output, as_json: bool) -> int:
    """Show it repeatedly: in place on a terminal, else one table below the other."""
    region = LiveRegion(output.out) if output.out.can_draw() and not as_json else None

    def show() -> None:
        found = status(folder)
        if as_json:
            output.results([answer("status", found)])
            return
        rows = as_table(found, output.out) if found else [NOTHING]
        if region is None:
            output.results([*rows, ""])
        elif region.may_draw():
            columns, lines = output.out.size()
            region.draw([output.out.fit(row, columns - 1) for row in rows[: lines - 1]])

    def work(token: CancelToken, _emit: Emit) -> int:
        with contextlib.suppress(Interrupted):  # the normal way to end it
            while not output.out.gone:
                run_cancellable(show, token)  # a folder or the output may block
                token.wait(INTERVAL_S)
                token.check()
        return 0

    return session.run(work, json=as_json, quiet=True)


def as_table(found: Sequence[Running], out: Stream) -> list[str]:
    """The downloads, as many of their columns as there is room for."""
    return table([_TITLES, *map(_row, found)], out, flexible=(0,), margin=1, optional=_OPTIONAL)


def _row(run: Running) -> tuple[str, ...]:
    left = seconds_left(run.done, run.total, run.rate)
    return (
        run.model,
        human_size(run.done) if run.total is None else f"{percent(run.done, run.total)}%",
        f"{human_size(int(run.rate))}/s" if run.rate >= 1 else "",
        "" if left is None else clock(left),
        str(run.pid),
        run.user,
        run.host,
        time_of_day(run.since),
    )
