"""Where the records of links are. It loads nothing else: every install asks whether there are any."""

from __future__ import annotations

import os
from pathlib import Path

from luci_dl.environment import home_of

_FOLDER = "links"


def links_folder() -> Path:
    """Where the records are. Raises: UsageError."""
    return home_of(os.environ) / _FOLDER


def lock_path() -> Path:
    """Held by whoever changes links. Raises: UsageError."""
    return links_folder() / "links.lock"


def has_links() -> bool:
    """Whether luci has ever made a link."""
    return os.path.isdir(links_folder())
