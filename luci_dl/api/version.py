"""`luci version`."""

from __future__ import annotations

from luci_dl.doctor import versions as found


def versions() -> dict[str, str]:
    """The versions of luci and of what it depends on, by name."""
    return found.versions()
