"""What an install must wait for or complete before all else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.disk import commit
from luci_dl.disk.layout import Layout, Staging
from luci_dl.disk.lock import is_held, read_lock_info
from luci_dl.install.actions import Action, Complete, Wait
from luci_dl.model import Artifact


def pending(folder: Path, artifacts: Sequence[Artifact]) -> list[Action]:
    """What comes before all else, seen without the locks: a wait, or an install to complete. Raises: StorageError."""
    layout = Layout(folder)
    stagings = {artifact: layout.staging(artifact.name) for artifact in artifacts}
    holders = {artifact: _holder(staging) for artifact, staging in stagings.items()}
    if any(holders.values()):
        return [Wait(artifact, staging.target, holders[artifact]) for artifact, staging in stagings.items()]
    if commit.records_of(folder, stagings.values()) or any(map(commit.cut_off, stagings.values())):
        return [Complete(artifact, staging.target) for artifact, staging in stagings.items()]
    return []


def _holder(staging: Staging) -> str:
    """Who holds the target's lock; empty if it is free."""
    if not is_held(staging.lock):
        return ""
    holder = read_lock_info(staging.lock)
    return f"pid {holder.pid} on {holder.host} ({holder.command})" if holder else "another process"
