"""The tools that some tests stand on, beside Python."""

from __future__ import annotations

import os
import shutil

import pytest


def need(tool: str) -> str:
    """The path of an installed program. Without it the test is skipped, or fails in CI."""
    path = shutil.which(tool)
    if path:
        return path
    message = f"{tool} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
