"""A status as texts and curves, and the HTML that shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import chain

from luci_dl import __version__
from luci_dl.figures import clock, percent, seconds_left
from luci_dl.serve.ledger import Account
from luci_dl.serve.status import Status
from luci_dl.text import counted, human_size, local_time, printable, time_of_day

View = Mapping[str, str | Sequence[Mapping[str, str]]]
STEP_S = 2
"""Seconds for each point of a curve."""
HEIGHT = 200
"""Of the plot, in its own units; a point is one unit wide."""
NAMED_CLIENTS = 3
TEMPLATE = files("luci_dl.serve").joinpath("page.html").read_text("utf-8")
_EACH = re.compile(r'(<template data-each="(\w+)">(.*?)</template>)', re.DOTALL)
_PLACE = re.compile(r'data-set-([\w-]+)="(\w+)"|data-of="(\w+)"[^>]*>')
_COMMIT = re.compile(r"(@[0-9a-f]{8})[0-9a-f]{32}\b")
_HUB = {
    "ok": " The Hub answers.",
    "away": " The Hub does not answer. What is here is served all the same.",
    "unasked": "",
}


def view(status: Status, account: Account) -> View:
    """What the page shows: a text for each place, and for each table its rows."""
    totals, shown = status["totals"], status["files"]
    top = _top(max(chain(account.wan_history, account.lan_history), default=0))
    return {
        "version": __version__,
        "state": f"{'some' if shown else 'no'}-files {'some' if status['fetching'] else 'no'}-fetches",
        "since": f"since {time_of_day(status['since'])}",
        "hub": _hub(status),
        "served": _size(totals["lan_bytes"]),
        "serving": _rate(totals["lan_rate"]),
        "downloaded": _size(totals["wan_bytes"]),
        "downloading": _rate(totals["wan_rate"]),
        "saved": _size(totals["copies_saved"]),
        "machines": str(totals["clients"]),
        "top": _rate(top),
        "half": _rate(top // 2),
        "lan_curve": _curve(account.lan_history, top),
        "wan_curve": _curve(account.wan_history, top),
        "amount": f"{counted(len(shown), 'file')}, {_size(sum(file['size'] for file in shown))}",
        "hidden": _hidden(status["hidden"]),
        "fetching": [_fetching(each) for each in status["fetching"]],
        "files": [_file(each) for each in shown],
    }


def filled(values: View) -> str:
    """The page with the values in their places."""
    parts = iter(_EACH.split(TEMPLATE))
    html = _put(next(parts), values)
    for template, name, row, after in zip(parts, parts, parts, parts, strict=True):
        rows = values[name]
        assert not isinstance(rows, str)
        html += template + "".join(_put(row, each) for each in rows) + _put(after, values)
    return html


def _put(html: str, values: Mapping[str, object]) -> str:
    """Text where `data-of` names it, and for `data-set-X` the attribute X."""

    def place(found: re.Match[str]) -> str:
        attribute, of_attribute, of_text = found.groups()
        text = escape(str(values[of_attribute or of_text]))
        return f'{found[0]} {attribute}="{text}"' if attribute else found[0] + text

    return _PLACE.sub(place, html)


def _size(count: int) -> str:
    return human_size(count, "\u00a0")


def _rate(count: int) -> str:
    return f"{_size(count)}/s"


def _hub(status: Status) -> str:
    if not status["pull"]:
        return "Only what is installed here is served."
    return f"What is not here is fetched from {printable(status['hub']['address'])}.{_HUB[status['hub']['state']]}"


def _hidden(count: int) -> str:
    are = "is" if count == 1 else "are"
    return f"{counted(count, 'file')} more {are} not public: only a browser on this server shows them." if count else ""


def _reference(text: str) -> str:
    return _COMMIT.sub(r"\1", printable(text))


def _fetching(pull: Status) -> Mapping[str, str]:
    left = seconds_left(pull["done"], pull["size"], pull["rate"])
    clients = [*map(printable, pull["clients"])]
    more = len(clients) - NAMED_CLIENTS
    return {
        "key": pull["sha256"],
        "name": printable(pull["name"]),
        "reference": _reference(pull["reference"]),
        "size": str(max(1, pull["size"])),
        "done": str(pull["done"]),
        "share": f"{percent(pull['done'], pull['size'])}%",
        "progress": f"{_size(pull['done'])} of {_size(pull['size'])}",
        "left": "" if left is None else f"{clock(left)} left",
        "rate": _rate(pull["rate"]),
        "clients": ", ".join(clients[:NAMED_CLIENTS]) + (f" and {more} more" if more > 0 else ""),
        "error": printable(pull["error"]),
    }


def _file(file: Status) -> Mapping[str, str]:
    return {
        "key": file["sha256"],
        "name": printable(file["name"]),
        "reference": _reference(file["reference"]),
        "size": _size(file["size"]),
        "sent": f"{file['sent']}\u00a0×" if file["sent"] else "\u2013",
        "installed": printable(local_time(file["installed"], "%Y-%m-%d")),
    }


def _top(most: int) -> int:
    """Where the axis ends: the next of 1, 2, 5, 10 ... MB/s."""
    top, factors = 1_000_000, (2, 2.5, 2)
    step = 0
    while top < most:
        top, step = int(top * factors[step % 3]), step + 1
    return top


def _curve(rates: Sequence[int], top: int) -> str:
    """The path of an SVG. It leaves the plot at its ends, and below where there is nothing."""
    heights = [HEIGHT - HEIGHT * rate // top if rate else HEIGHT + 9 for rate in rates]
    points = " ".join(f"{x} {height}" for x, height in enumerate(heights))
    return f"M-9 {HEIGHT + 9}L{points} {len(rates) + 9} {heights[-1]}V{HEIGHT + 9}Z"
