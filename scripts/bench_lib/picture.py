"""The figures as a picture: bars of seconds, light or dark as the reader's screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench_lib.measure import Results, median_seconds
from bench_lib.peers import FLOOR, LINE_ALONE, Tool
from bench_lib.report import NO, YES
from bench_lib.scenarios import LINES, LOOPBACK, Scenario

WIDTH, ROW, BAR = 820, 26, 16
LEFT, RIGHT = 190, 610  # between them the longest bar
DIGEST, SYNC = 715, 775  # the middle of each column of marks
TOP = 76
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.head { font-weight: 600 }
.soft { fill: #59636e }
.no { fill: #a5acb3 }
.bar { fill: #9aa7b4 }
.floor { fill: none; stroke: #9aa7b4; stroke-dasharray: 3 2 }
.luci { fill: #d9480f }
text.luci { font-weight: 700 }
.rule { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .soft { fill: #9198a1 }
  .no { fill: #656c76 }
  .bar { fill: #6e7a87 }
  .floor { stroke: #8b949e }
  .luci { fill: #ff922b }
  .rule { stroke: #3d444d }
}
"""


@dataclass(frozen=True)
class Picture:
    """What a picture shows: a panel for each of the scenarios that was measured, in it a bar for each of the tools.

    title, subtitle: with `size`, `cores` and `rounds` to be filled in.
    """

    title: str
    subtitle: str
    scenarios: Sequence[Scenario]
    tools: Sequence[str]


PICTURES = {
    "bench": Picture(
        "Installing a model of {size}: seconds, less is better",
        "{cores} cores, nginx on the loopback, medians of {rounds}",
        LOOPBACK,
        (FLOOR, "luci", "curl", "wget", *(f"aria2c -x{count} --checksum" for count in (4, 16)), "hf download", "pooch"),
    ),
    "lines": Picture(
        "Installing a model over lines of many kinds: seconds, less is better",
        "{cores} cores, nginx at the other end of the line, medians of {rounds}",
        LINES,
        (LINE_ALONE, "luci", "curl", "aria2c -x16 -k1M"),
    ),
}


@dataclass(frozen=True)
class Bar:
    """One tool of a scenario."""

    tool: Tool
    seconds: float

    @property
    def style(self) -> str:
        if self.tool.is_floor:
            return "floor"
        return "luci" if self.tool.name == "luci" else "bar"


def draw(picture: Picture, results: Results, tools: Mapping[str, Tool], facts: Mapping[str, object]) -> str:
    """The SVG; `facts` are filled into its titles."""
    title = picture.title.format(**facts)
    shapes = [
        text(16, 30, title, "title"),
        text(16, 52, picture.subtitle.format(**facts), "soft"),
        text(DIGEST, 52, "digest", "soft", "middle"),
        text(SYNC, 52, "sync", "soft", "middle"),
    ]
    y = TOP
    for scenario in picture.scenarios:
        runs = results.get(scenario.name, {})
        if bars := [Bar(tools[name], median_seconds(runs[name])) for name in picture.tools if runs.get(name)]:
            shapes += _panel(scenario.title, sorted(bars, key=lambda bar: bar.seconds), y)
            y += (len(bars) + 2) * ROW
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _panel(title: str, bars: Sequence[Bar], y: int) -> Iterator[str]:
    longest = max(bar.seconds for bar in bars)
    yield f'<line class="rule" x1="16" x2="{WIDTH - 16}" y1="{y - 8}" y2="{y - 8}"/>'
    yield text(16, y + 14, title, "head")
    for number, bar in enumerate(bars, start=1):
        yield from _row(bar, y + number * ROW, (RIGHT - LEFT) * bar.seconds / longest)


def _row(bar: Bar, y: int, length: float) -> Iterator[str]:
    base = y + 13
    style = "luci" if bar.style == "luci" else ""
    yield text(LEFT - 10, base, bar.tool.name, style, "end")
    yield f'<rect class="{bar.style}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
    yield text(LEFT + length + 8, base, f"{bar.seconds:.2f} s", style)
    for x, done in ((DIGEST, bar.tool.digest), (SYNC, bar.tool.sync)):
        yield text(x, base, YES if done else NO, "" if done else "no", "middle")


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
