from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from tests.disk.hands import KIB, gguf
from tests.procs import files_left, lock_is_free

DATA, OTHER = gguf(64 * KIB), gguf(48 * KIB, seed=1)


@pytest.fixture
def models(home: Path) -> Path:
    """The models folder, and settings that leave no space free."""
    (home / "models").mkdir(parents=True)
    (home / "config.json").write_text('{"min_free": 0}')
    return home / "models"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the models folder."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder) / "other"


def receipt_of(folder: Path, name: str) -> Receipt:
    known = receipt.read(staging_for(folder, name).receipt)
    assert known
    return known


def there(folder: Path) -> list[str]:
    """The files in the folder that are not luci's own. None of these is unfinished, and no lock is held."""
    left = files_left(folder) if folder.exists() else []
    own = [name for name in left if name.startswith(".luci/")]
    assert not [name for name in own if not name.endswith((".lock", ".receipt", "/"))]
    assert all(lock_is_free(folder / name) for name in own if name.endswith(".lock"))
    return [name for name in left if name not in own and not name.endswith("/")]
