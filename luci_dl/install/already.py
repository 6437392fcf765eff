"""A model that is installed already, as its receipts say: the answer takes no lock, reads no file and is fast."""

from __future__ import annotations

import os

from luci_dl.disk import target
from luci_dl.disk.layout import Layout, Staging
from luci_dl.disk.lock import is_held
from luci_dl.errors import LuciError
from luci_dl.events import Installed
from luci_dl.install.context import InstallContext
from luci_dl.model import Artifact
from luci_dl.plan import Plan


def already_installed(plan: Plan, context: InstallContext) -> Installed | None:
    """The model, if luci installed all of it, nothing has changed since, and nobody works on it.

    Returns: None where it takes a lock, or a look at more than names, to answer.
    """
    if context.options.force or context.options.upgrade:
        return None
    layout, total, names = Layout(plan.folder), 0, {artifact.name for artifact in plan.artifacts}
    try:
        for artifact in plan.artifacts:
            size = _settled_size(layout.staging(artifact.name), artifact, plan, names)
            if size is None:
                return None
            total += size
    except LuciError:  # the install will say what is wrong there
        return None
    paths = tuple(str(plan.folder / artifact.name) for artifact in plan.artifacts)
    return Installed(plan.reference, paths, total, "already", 0, 0.0)


def _settled_size(staging: Staging, artifact: Artifact, plan: Plan, names: set[str]) -> int | None:
    """The size of the installed file; None if it is missing, has changed, is worked on, or is to be examined."""
    found = target.quick_look(staging, artifact)
    known = found.receipt
    if found.state != "installed" or known is None or known.mtime_ns != found.mtime_ns or artifact.unread:
        return None
    if known.reference == plan.reference and (known.asked is None or set(known.files) != names):
        return None  # its receipt will say what was asked for, and which files belong together
    if known.reference == plan.reference and artifact == plan.artifacts[0] and not plan.model.is_whole(known.kept):
        return None  # its receipt will have the small files
    if known.proof == "none" and artifact.sha256:
        return None  # its receipt will say that the digest is known now
    if is_held(staging.lock) or os.path.lexists(staging.journal) or os.path.lexists(staging.commit):
        return None
    return found.size
