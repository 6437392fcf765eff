"""config.json: read as it is, and changed under a lock so that nothing in it is lost."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.config.keys import Key
from luci_dl.errors import StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.text import SAVE_AS_UTF8, decoded, printable, shown

_REPAIR = "Correct the file or move it away."
_CHECK_PLACE = "Check that file, its folder and its disk, or set LUCI_HOME to another folder."


@frozen
class ConfigFile:
    """The file at `path`, and its values; none if the file does not exist."""

    path: Path
    values: Mapping[str, object]

    def get(self, key: Key, default: Any) -> Any:
        """The value in the file, or `default`; null counts as not set. Raises: UsageError, which names file and key."""
        value = self.values.get(key.name)
        if value is None:
            return default
        return key.kind.parse(value, f"{printable(str(self.path))}, {key.name}", self.path.parent)


def read_config(path: Path) -> ConfigFile:
    """The file at `path`. Raises: UsageError, when it is broken; StorageError."""
    name = printable(str(path))
    try:
        text = decoded(_read(path))
    except FileNotFoundError:
        return ConfigFile(path, {})
    except OSError as error:
        raise StorageError(f"cannot read {name}: {error.strerror}", _CHECK_PLACE, error.strerror or "") from error
    except ValueError as error:
        raise UsageError(f"cannot read {name}: {error}", SAVE_AS_UTF8) from error
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON: {error}", _REPAIR) from error
    if not isinstance(values, dict):
        raise UsageError(f"{name}: expected a JSON object, found {shown(values)}", _REPAIR)
    return ConfigFile(path, values)


def _read(path: Path) -> bytes:
    """Raises: OSError; UsageError, for a pipe or a device, which could block the reader forever."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{printable(str(path))} is not a plain file", "Move it away.")
        return file.read()


def change_config(
    path: Path, change: Callable[[ConfigFile], Mapping[str, object] | None], token: CancelToken | None = None
) -> bool:
    """Replace the file's settings by what `change` returns for them; None leaves the file as it is.

    No other process changes it meanwhile. Nothing is written after this has returned or raised.

    Returns: whether the file was replaced.
    Raises: UsageError, when the file is broken; StorageError; Interrupted; whatever `change` raises.
    """
    from luci_dl.disk import fs, lock  # not needed to read the settings, and filelock costs start-up time
    from luci_dl.disk.storage_errors import advice

    path = Path(os.path.realpath(path))  # it may be a symlink to the user's dot-files
    token = token or CancelToken()
    renaming = threading.Lock()

    @contextlib.contextmanager
    def last_check() -> Iterator[None]:
        with renaming:
            token.check()
            yield

    def work() -> bool:
        with advice(_CHECK_PLACE), lock.file_lock(path.with_name(path.name + ".lock")):
            values = change(read_config(path))
            if values is not None:
                fs.write_file(path, _text(values), keep_mode=True, renaming=last_check())
        return values is not None

    try:
        return run_cancellable(work, token)  # waiting for the lock or the disk may take long
    finally:
        with renaming:  # abandoned work has already renamed the file, or finds the token cancelled
            pass


def _text(values: Mapping[str, object]) -> bytes:
    with contextlib.suppress(UnicodeEncodeError):  # a path that is not UTF-8 can only be written with escapes
        return f"{json.dumps(values, indent=2, ensure_ascii=False)}\n".encode()
    return f"{json.dumps(values, indent=2)}\n".encode()
