"""Changes of config.json: `luci config set` and `unset`, and the folders that luci remembers."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from luci_dl.cancel import CancelToken
from luci_dl.config.file import ConfigFile, change_config
from luci_dl.config.keys import Key
from luci_dl.config.settings import KEYS, Settings, near_key
from luci_dl.disk.same_folder import identity
from luci_dl.errors import UsageError
from luci_dl.text import did_you_mean, printable

Checks = Mapping[str, Callable[[Any], object]]
"""For each setting that needs it, a check beyond its kind, which raises UsageError or StorageError."""


def set_setting(file: Path, name: str, texts: Sequence[str], checks: Checks, token: CancelToken) -> None:
    """Write the value that the user typed, after all checks.

    Raises: UsageError; StorageError; Interrupted.
    """
    key = known_key(name)
    value = parse_typed(key, texts)
    if name in checks:
        checks[name](value)
    change_config(file, lambda config: {**config.values, name: key.kind.json(value)}, token)


def unset_setting(file: Path, name: str, texts: Sequence[str], token: CancelToken) -> None:
    """Remove the setting from the file; of a list only the items that the user typed, if there are any.

    Raises: UsageError; StorageError; Interrupted.
    """

    def remove(config: ConfigFile) -> Mapping[str, object] | None:
        left = dict(config.values)
        if name not in left and name not in KEYS:
            raise unknown_setting(name, left)
        if texts:
            key = known_key(name)
            left[name] = key.kind.json(_without(key, config.get(key, ()), texts))
            if left[name]:
                return left
        if name not in left:
            return None
        del left[name]
        return left

    change_config(file, remove, token)


def remember_folder(settings: Settings, folder: Path, token: CancelToken | None = None) -> bool:
    """Add the models folder to config.json, unless it is there, or is luci's own on luci's own disk.

    Returns: whether it was added. Raises: UsageError, when the file is broken; StorageError; Interrupted.
    """
    folder = folder.absolute()
    if folder == settings.home_models and not _is_on_another_disk(folder, settings.home):
        return False
    here = identity(folder)
    if here in map(identity, settings.folders):
        return False
    return _change_folders(settings, lambda known: known if here in map(identity, known) else (*known, folder), token)


def forget_folder(settings: Settings, folder: Path) -> None:
    """Remove the models folder from config.json. Raises: UsageError, when the file is broken; StorageError."""
    gone = identity(folder.absolute())
    _change_folders(settings, lambda known: [each for each in known if identity(each) != gone])


def _change_folders(
    settings: Settings, change: Callable[[Sequence[Path]], Sequence[Path]], token: CancelToken | None = None
) -> bool:
    """Returns: whether that made a difference."""
    key = KEYS["folders"]

    def changed(config: ConfigFile) -> Mapping[str, object] | None:
        known = config.get(key, ())
        new = tuple(change(known))
        return None if new == known else {**config.values, key.name: key.kind.json(new)}

    return change_config(settings.file, changed, token)


def _is_on_another_disk(folder: Path, home: Path) -> bool:
    try:
        return os.stat(folder).st_dev != os.stat(home).st_dev
    except OSError:
        return False


def parse_typed(key: Key, texts: Sequence[str]) -> Any:
    """The value that the user typed. Raises: UsageError"""
    if not key.kind.many and len(texts) > 1:
        raise UsageError(f"{key.name} takes one value, found {len(texts)}", "Put quotes around one that has spaces.")
    value = key.kind.parse(list(texts) if key.kind.many else texts[0], key.name, Path())
    items = value if key.kind.many else (value,)
    for path in items if key.kind.path == "dir" else ():
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UsageError(f"{key.name}: expected a folder, found the file {printable(str(path))}")
    return tuple(dict.fromkeys(value)) if key.kind.many else value


def _without(key: Key, value: Sequence[Any], texts: Sequence[str]) -> list[Any]:
    """The list without the items that the user typed. Raises: UsageError, when one of them is not in it."""
    if not key.kind.many:
        hint = f"This unsets it: luci config unset {key.name}"
        raise UsageError(f"{key.name} is not a list, so no item can be removed from it", hint)
    removed = key.kind.parse(list(texts), key.name, Path())
    missing = [str(item) for item in removed if item not in value]
    if missing:
        there = ", ".join(key.kind.texts(value)) or "nothing"
        raise UsageError(f"{key.name} does not contain {printable(missing[0])}", f"It contains: {printable(there)}")
    return [item for item in value if item not in removed]


def known_key(name: str) -> Key:
    """The setting of that name. Raises: UsageError"""
    if name not in KEYS:
        raise unknown_setting(name)
    return KEYS[name]


def unknown_setting(name: str, others: Collection[str] = ()) -> UsageError:
    """The error for a name that is neither a setting nor one of the other names; it suggests a similar one."""
    guess = did_you_mean(near_key(name, others))
    return UsageError(f'there is no setting "{printable(name)}"{guess}', "`luci config list` shows them all.")
