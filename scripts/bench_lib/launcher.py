"""launcher.py LOG COMMAND...: run the command, its output into LOG; print seconds, CPU seconds, peak KiB, exit code.

A process of its own, and a small one: a child's peak memory begins with what its parent held at the fork.
"""

import os
import sys
import time


def main(log: str, *command: str) -> None:
    output = [
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=output)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - start
    print(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*sys.argv[1:])
