"""`python -m luci_dl`, and the `luci` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run luci and end the process."""
    if os.name == "nt":
        sys.exit("luci runs on Linux and macOS. On Windows, install it inside WSL: https://aka.ms/wsl")
    _open_standard_streams()
    from luci_dl.cancel import die_at_once

    die_at_once()  # nothing is there yet that would need cleaning up
    from luci_dl.cli.main import run

    sys.exit(run(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Were one of them closed, a model file would get its number, and the messages."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


if __name__ == "__main__":
    main()
