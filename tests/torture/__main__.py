"""`scripts/torture`: as many cases as fit into the time, a line of figures, and how to repeat what went wrong."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from tests.torture.batch import Result, arena, batch, run
from tests.torture.case import draw

BATCH = 24


def main() -> int:
    """Returns: the exit code, 1 if anything went wrong."""
    options = _parser().parse_args()
    if options.case is not None:
        return _repeat(options.case, {int(n) for n in options.without.split(",") if n})
    cores = options.cores or len(os.sched_getaffinity(0))
    seed = random.randrange(10**9) if options.seed is None else options.seed
    outcomes, began = Counter[str](), time.monotonic()
    for result in _results(seed, options.seconds, cores):
        outcomes[result.outcome] += 1
        if result.wrong:
            _report(result)
    figures = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"seed {seed}: {outcomes.total()} files in {time.monotonic() - began:.0f} s: {figures}", flush=True)
    return int(outcomes["wrong"] > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/torture", description="Downloads from servers that misbehave.")
    parser.add_argument("seconds", type=float, nargs="?", default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, help="of the first case; the others follow (default: any)")
    parser.add_argument("--cores", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--case", type=int, metavar="SEED", help="only this case, with all that happens")
    parser.add_argument("--without", default="", metavar="N,N", help="leave out these traits of the case")
    return parser


def _results(seed: int, seconds: float, cores: int) -> Iterator[Result]:
    until = time.time() + seconds
    batches = (list(range(start, start + BATCH)) for start in itertools.count(seed, BATCH))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        running: set[Future[list[Result]]] = set()
        while running or time.time() < until:
            while len(running) < cores and time.time() < until:
                running.add(pool.submit(batch, next(batches), until - time.time()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for ended in done:
                yield from ended.result()


def _repeat(seed: int, dropped: set[int]) -> int:
    print(draw(seed))
    with arena():
        result = run(draw(seed).without(dropped), Path(os.environ["LUCI_HOME"], "models"))
    _report(result)
    return int(bool(result.wrong))


def _report(result: Result) -> None:
    print(f"{result.outcome}: {result.case}\n  {result.wrong}\n{result.story}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
