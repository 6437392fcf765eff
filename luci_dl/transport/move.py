"""Moves a model to another models folder: at every moment one of the two has all of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from luci_dl.disk.transaction import Transaction
from luci_dl.events import Moved
from luci_dl.library.installed import InstalledFile, InstalledModel
from luci_dl.library.links.place import has_links
from luci_dl.library.remove import Removal, delete, locked
from luci_dl.transport.carry import Carrier, artifact_of


def model_in(removal: Removal) -> InstalledModel:
    """The model that is removed."""
    return InstalledModel(removal.folder, removal.reference, removal.names, removal.files)


def move(removal: Removal, carrier: Carrier) -> Moved:
    """Carry the model to its new place, and then remove it from the old one, under the locks of both.

    On one file system the files get second names; those that another model shares are copied. It can be interrupted
    until the new place has all of it.

    Raises: IntegrityError; LockedError; Interrupted; StorageError; then the old place has all of it. After a crash both
        may have: then move it again.
    """
    with locked(removal, "move", carrier.token, carrier.emit) as (old, now):
        looked_at = [_looked_at(old, file) for file in now.files]
        model = replace(model_in(now), files=tuple(file for file, _ in looked_at))
        shared = {file.path for file, _ in now.shared}
        proved = {file.path for file, is_right in looked_at if is_right} - shared
        left = list(now.left)
        copied = carrier.carry(model, lambda file: file.path in proved)
        carrier.check_settled(model)
        with contextlib.ExitStack() as stack:
            if has_links():
                from luci_dl.library.links.follow import followed  # not needed by most

                stack.enter_context(followed(now.folder, now.reference, carrier.token, carrier.emit, carrier.folder))
            delete(now)
    for event in left:
        carrier.emit(event)
    paths = tuple(str(carrier.folder / name) for name in model.names)
    return Moved(model.reference, paths, str(model.folder), str(carrier.folder), "moved", model.size, copied, False)


def _looked_at(old: Transaction, file: InstalledFile) -> tuple[InstalledFile, bool]:
    """The file with a receipt that is up to date, and whether it is right; it is read if its time has changed."""
    found = old.look(artifact_of(file))
    if found.state != "installed" or found.receipt is None:
        return file, False
    return replace(file, receipt=replace(found.receipt, proof=file.receipt.proof)), True
