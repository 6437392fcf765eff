"""The results of a check, by level."""

from __future__ import annotations

from luci_dl.errors import LuciError
from luci_dl.events import Finding


def ok(topic: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(topic, "ok", message, "", 0)


def warning(topic: str, message: str, hint: str = "") -> Finding:
    """Something that works with restrictions, or may fail later."""
    return Finding(topic, "warning", message, hint, 0)


def failure(topic: str, error: LuciError) -> Finding:
    """Something that makes installs fail."""
    return Finding(topic, "error", error.message, error.hint, error.exit_code)
