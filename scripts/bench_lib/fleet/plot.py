"""The figures as a picture: how long the slowest host waits when all begin at once, and what the uplink carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from xml.sax.saxutils import escape

from bench_lib.fleet.engines import ENGINES, SERVE
from bench_lib.fleet.goals import Measured
from bench_lib.fleet.scenarios import COLD, Case
from bench_lib.picture import BAR, LEFT, ROW, STYLE, TOP, WIDTH, text

TITLE = "Many hosts install one model at once: seconds of the slowest, less is better"
RIGHT, COPIES = 640, WIDTH - 16


@dataclass(frozen=True)
class Bar:
    """One engine. `copies` is empty for what fetches nothing."""

    name: str
    seconds: float
    copies: str
    style: str


def draw(measured: Measured, facts: str) -> str:
    """The SVG; `facts` is its second line."""
    shapes = [text(16, 30, TITLE, "title"), text(16, 52, facts, "soft"), text(COPIES, 52, "copies", "soft", "end")]
    y = TOP
    for hosts in measured.numbers(COLD):
        bars = sorted(_bars(measured, hosts), key=lambda bar: bar.seconds)
        shapes += _panel(f"{hosts} hosts", bars, y)
        y += (len(bars) + 2) * ROW
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
        f"<title>{escape(TITLE)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _bars(measured: Measured, hosts: int) -> Iterator[Bar]:
    """The LAN's line, and every engine that has served all hosts, with the client that was fastest at it."""
    yield Bar("the LAN alone", measured.lan_floor(hosts), "", "floor")
    for engine in ENGINES:
        cases = [Case(COLD, hosts, engine.name, client) for client in engine.clients]
        seconds = {case: measured.slowest_of(case) for case in cases if measured.results.get(case)}
        fastest = min(seconds, key=lambda case: seconds[case], default=None)
        if fastest and seconds[fastest] != float("inf"):
            copies = median(outcome.copies for outcome in measured.results[fastest])
            yield Bar(engine.name, seconds[fastest], f"{copies:.2f}", "luci" if engine is SERVE else "bar")


def _panel(name: str, bars: Sequence[Bar], y: int) -> Iterator[str]:
    scale = (RIGHT - LEFT) / max(bar.seconds for bar in bars)
    yield f'<line class="rule" x1="16" x2="{WIDTH - 16}" y1="{y - 8}" y2="{y - 8}"/>'
    yield text(16, y + 14, name, "head")
    for number, bar in enumerate(bars, start=1):
        yield from _row(bar, y + number * ROW, bar.seconds * scale)


def _row(bar: Bar, y: int, length: float) -> Iterator[str]:
    style = "luci" if bar.style == "luci" else ""
    yield text(LEFT - 10, y + 13, bar.name, style, "end")
    yield f'<rect class="{bar.style}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
    yield text(LEFT + length + 8, y + 13, f"{bar.seconds:.1f} s", style)
    yield text(COPIES, y + 13, bar.copies, style, "end")
