"""Values of environment variables, as the user meant them."""

from __future__ import annotations

from collections.abc import Mapping

from luci_dl.errors import UsageError

_QUOTES = ('""', "''", "“”", "‘’")


def variable(environ: Mapping[str, str], name: str) -> str:
    """The value without spaces around it; empty if the variable is not set. Raises: UsageError, if it is in quotes."""
    return unquoted(environ.get(name, "").strip(), name)


def unquoted(text: str, what: str) -> str:
    """`text` itself. Raises: UsageError, if it is in quotes: a shell removes them, a file of variables keeps them."""
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        raise UsageError(f"{what} is in quotes, which are part of the value", "Remove them: only a shell does that.")
    return text
