"""`luci help exit-codes`, from the classes of errors.py."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl import errors
from luci_dl.cli.topics.layout import first_paragraph, table, text


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from table(
        [
            ("0", "Done, or already installed."),
            ("1", "A bug in luci, which shows a traceback; or a step of `luci demo` failed."),
            *((str(kind.exit_code), first_paragraph(kind.__doc__)) for kind in kinds()),
            ("128+n", "Ended by signal n, after cleaning up. 130 is Ctrl+C (SIGINT), 143 SIGTERM, 129 SIGHUP."),
        ]
    )
    yield from text(
        "If several models are installed, all are tried, except after exit code 6 or a signal. The first failure "
        "determines the exit code. An invalid catalog or config.json is 2. `luci doctor` ends with the exit code of "
        "the first error that it finds, `luci verify` with 5 if a file is wrong and with 6 if one cannot be read, "
        "`luci outdated` with 4 if a server could not be asked. `luci upgrade` ends with 3 if a model is gone, or a "
        "named one cannot be compared."
    )


def kinds() -> list[type[errors.LuciError]]:
    """The errors that have an exit code of their own, but the interrupt, in the order of the codes."""
    found = [kind for kind in errors.LuciError.__subclasses__() if kind.__module__ == errors.__name__]
    return sorted((kind for kind in found if kind is not errors.Interrupted), key=lambda kind: kind.exit_code)
