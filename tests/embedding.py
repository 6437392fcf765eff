"""An example: another program installs a model, with its own progress bar, and gives up when its user wants to.

python tests/embedding.py llama3.2
"""

from __future__ import annotations

import sys
import threading

import luci_dl
from luci_dl.events import Event, Progress


class Bar:
    """Any bar that can be told how far it is, as tqdm's, rich's or a window's can."""

    def __init__(self, title: str, total: int | None) -> None:
        self.title = title
        self.total = total

    def show(self, done: int) -> None:
        share = f"{done * 100 // self.total} %" if self.total else f"{done} bytes"
        print(f"\r{self.title}: {share}", end="", file=sys.stderr, flush=True)


class Bars:
    """One for each file. luci calls it from several threads, also while many models come side by side."""

    def __init__(self) -> None:
        self._bars: dict[str, Bar] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            with self._lock:
                bar = self._bars.setdefault(event.name, Bar(event.name, event.total))
                bar.show(event.done)


def main(words: list[str]) -> int:
    token = luci_dl.CancelToken()  # a "Cancel" button calls token.cancel(), in any thread
    try:
        paths = luci_dl.install(*words, emit=Bars(), token=token)
    except KeyboardInterrupt:  # nothing is left behind by then
        return 130
    except luci_dl.LuciError as error:
        print(f"{error}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    print(*paths, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
