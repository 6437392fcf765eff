"""The figures as a picture: bars of seconds, light or dark as the reader's screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench_lib.measure import Results, Runs, median_seconds
from bench_lib.peers import FLOOR, Tool
from bench_lib.report import NO, YES
from bench_lib.scenarios import SCENARIOS

SHOWN = (
    FLOOR,
    "luci",
    "curl",
    "wget",
    "aria2c -x4 --checksum",
    "aria2c -x16 --checksum",
    "hf download",
    "pooch",
)
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
class Bar:
    """One tool of a scenario."""

    tool: Tool
    seconds: float

    @property
    def style(self) -> str:
        if self.tool.is_floor:
            return "floor"
        return "luci" if self.tool.name == "luci" else "bar"


def picture(results: Results, tools: Mapping[str, Tool], title: str, subtitle: str) -> str:
    """The SVG: a panel for each scenario that was measured."""
    shapes = [
        text(16, 30, title, "title"),
        text(16, 52, subtitle, "soft"),
        text(DIGEST, 52, "digest", "soft", "middle"),
        text(SYNC, 52, "sync", "soft", "middle"),
    ]
    y = TOP
    for scenario in SCENARIOS:
        if bars := _bars(results.get(scenario.name, {}), tools):
            shapes += _panel(scenario.title, bars, y)
            y += (len(bars) + 2) * ROW
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _bars(runs: Runs, tools: Mapping[str, Tool]) -> list[Bar]:
    """The fastest first."""
    bars = [Bar(tools[name], median_seconds(runs[name])) for name in SHOWN if runs.get(name)]
    return sorted(bars, key=lambda bar: bar.seconds)


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
