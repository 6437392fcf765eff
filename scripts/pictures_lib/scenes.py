"""What is done in each picture. Each scene ends at the moment that it shows."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence

from pictures_lib.ground import Ground
from pictures_lib.screen import Row

Windows = Sequence[Sequence[Row]]


def install(ground: Ground) -> Windows:
    """Two models side by side; one is there already."""
    with ground.luci("install llama3.2 mistral --jobs 2") as both:
        both.until(lambda shown: "Installed" in shown)
        both.until_share("mistral", 55)
        return [both.screen()]


def interrupt(ground: Ground) -> Windows:
    """Ctrl+C: the bar goes, and so does the partial file."""
    with ground.luci("install mistral") as shot:
        shot.until_share("mistral", 30)
        during = shot.screen()
        shot.press("\x03")
        if shot.wait() != -signal.SIGINT:
            raise RuntimeError("luci did not end by Ctrl+C")
        return [during, shot.screen()]


def two_terminals(ground: Ground) -> Windows:
    """The second waits, and says for whom and how far it is."""
    with ground.luci("install mistral") as first:
        first.until_share("mistral", 1)
        with ground.luci("install mistral") as second:
            first.until_share("mistral", 30)
            second.until(lambda shown: " left" in shown)
            return [first.screen(), second.screen()]


def status(ground: Ground) -> Windows:
    """Two terminals install something, a third one asks."""
    with contextlib.ExitStack() as shots:
        running = [shots.enter_context(ground.luci(f"install {name}")) for name in ("mistral", "llama3.2")]
        for shot, file in zip(running, ("mistral", "llama"), strict=True):
            shot.until_share(file, 25)
        asking = shots.enter_context(ground.luci("status"))
        asking.wait()
        return [asking.screen()]


def available(ground: Ground) -> Windows:
    """What the machine can run, of one group."""
    with ground.luci("list --available --group reasoning") as shot:
        shot.wait()
        return [shot.screen()]


def link(ground: Ground) -> Windows:
    """One copy for two programs."""
    (ground.home / ".lmstudio").mkdir(exist_ok=True)
    with ground.luci("install llama3.2 --quiet") as shot:
        shot.wait()
    windows = []
    for words in ("link lmstudio llama3.2", "link llama-server llama3.2", "link --list"):
        with ground.luci(words) as shot:
            shot.wait()
            windows.append(shot.screen())
    return windows


SCENES: dict[str, tuple[str, Callable[[Ground], Windows]]] = {
    "install": ("luci install with bars: one model is there, one on its way", install),
    "interrupt": ("luci install before Ctrl+C and after it: the partial file is deleted", interrupt),
    "two-terminals": ("Two terminals install one model: the second waits", two_terminals),
    "available": ("luci list --available: the models of one group, by family, and where they run", available),
    "link": ("luci link: one copy for several programs", link),
    "status": ("luci status: what is being installed, in every terminal", status),
}
"""The title and the scene of each picture."""
