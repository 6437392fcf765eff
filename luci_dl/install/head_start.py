"""The first request of a model goes out while the disk is prepared for it: each of them takes time."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager

from luci_dl.cancel import run_cancellable
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import is_held
from luci_dl.disk.place import Places
from luci_dl.disk.target import quick_look
from luci_dl.errors import LuciError
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact
from luci_dl.plan import Plan


def head_start(plan: Plan, context: InstallContext) -> AbstractContextManager[None]:
    """Request the first file that must be fetched from its beginning; whoever does so in the block has the response.

    If that turns out to be impossible, the response is closed after the block, and no byte of it was taken.
    """
    context.network.prepare_for(plan.artifacts[0].urls[0])
    if context.swarm:
        return contextlib.nullcontext()  # the server would send what other hosts can
    with contextlib.suppress(LuciError):  # the install will say what is wrong
        for artifact in plan.artifacts:
            if _is_to_fetch(artifact, plan, context):
                return context.network.head_start(context.asked_first(artifact))
    return contextlib.nullcontext()


def _is_to_fetch(artifact: Artifact, plan: Plan, context: InstallContext) -> bool:
    """Whether nothing of it is on this machine, nobody works on it, and it has a place. Raises: LuciError."""
    staging = staging_for(plan.folder, artifact.name)
    if quick_look(staging, artifact).state != "missing" or is_held(staging.lock):
        return False
    if any(map(os.path.lexists, (staging.part, staging.journal, staging.commit))):
        return False
    Places().check(staging, artifact.size)
    return not run_cancellable(lambda: context.copies.find(artifact, staging.target), context.token)
