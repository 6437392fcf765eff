"""What Ollama cannot read of a link, because it runs as another user than the one who links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.environment import variable
from luci_dl.library import runners
from luci_dl.library.links.base import Question


def unreadable(question: Question, root: Path) -> Iterator[str]:
    """What the user should know; nothing if Ollama is run by the one who links."""
    service = runners.ollama(os.environ)[-1]
    if root != service and not variable(os.environ, "OLLAMA_MODELS") and os.path.isdir(service.parents[1]):
        yield f"Ollama's service has its models in {service}; it needs OLLAMA_MODELS={root} to see this one"
    try:
        where = os.stat(root)
        if where.st_uid in (0, os.geteuid()):
            return
        user = fs.owner_of(root)
        for path in (file.path for file in question.model.files):
            info = os.stat(path)
            if not info.st_mode & stat.S_IROTH:
                yield f"Ollama runs as {user}, who may not read {path}: run chmod o+r on it"
            is_symlink = question.how == "symlink" or (question.how == "auto" and info.st_dev != where.st_dev)
            if is_symlink and (closed := _closed(path)):
                yield f"Ollama runs as {user}, who may not enter {closed}, so a symlink does not work: use --how copy"
    except OSError:
        return


def _closed(path: Path) -> Path | None:
    """The uppermost folder that keeps others from the file."""
    folders = reversed(path.absolute().parents)
    return next((folder for folder in folders if not os.stat(folder).st_mode & stat.S_IXOTH), None)
