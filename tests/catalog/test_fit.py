"""Whether a model of the catalog fits this machine, as far as that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.catalog.fit import Place, load_of, this_place, weights_of
from luci_dl.formats.kv_cache import Cache, Layer
from luci_dl.machine.fit import REST, Machine
from luci_dl.machine.memory import Memory
from luci_dl.model import Artifact, Model
from tests.disk.hands import free_on

GB = 10**9


def file(name: str, size: int | None, role: str = "model") -> Artifact:
    return Artifact(name, (f"https://h/{name}",), size, role=role)


def model(size: int | None) -> Model:
    return Model("m", (file("m.gguf", size),))


@pytest.mark.parametrize(
    ("size", "free", "memory", "fit"),
    [
        (5 * GB, 5 * GB, 5 * GB + REST, (True, True)),
        (5 * GB, 5 * GB - 1, 5 * GB + REST - 1, (False, False)),
        (5 * GB, None, None, (None, None)),
        (None, 5 * GB, 6 * GB, (None, None)),
        (0, 0, REST, (True, True)),
    ],
)
def test_a_model_fits_the_disk_as_it_is_and_the_memory_with_the_rest(
    size: int | None, free: int | None, memory: int | None, fit: tuple[bool | None, bool | None]
) -> None:
    """Unknown values stay unknown."""
    found = Place(free, Machine(None if memory is None else Memory(memory))).fit(model(size), installed=False)
    assert (found.disk, found.memory) == fit


@pytest.mark.parametrize("size", [5 * GB, None])
def test_an_installed_model_has_room_on_the_disk(size: int | None) -> None:
    """It takes no more of it."""
    found = Place(0, Machine(None)).fit(model(size), installed=True)
    assert (found.disk, found.memory, found.word) == (True, None, "")


def test_the_reserve_does_not_count_as_free(tmp_path: Path) -> None:
    """Free space is never negative; the models folder need not exist."""
    free = free_on(tmp_path)
    reserve = free // 2
    found = this_place(tmp_path / "not" / "there", reserve).free
    assert found is not None
    assert abs(found - (free - reserve)) < free // 4  # others write, too
    assert this_place(tmp_path, 1 << 60).free == 0


def test_where_the_size_is_unknown_an_estimate_counts_as_such() -> None:
    """Nothing is known of what is no GGUF file, and of one whose name says nothing."""
    machine, cache = Machine(Memory(8 * GB)), Cache((Layer(1000),))
    load = load_of(Model("m", (file("m-8B-Q8_0.gguf", None),)), machine, cache, 1000)
    assert load is not None
    assert (load.weights, load.cache, load.estimated, load.runs) == (8_500_000_000, 2_000_000, True, False)
    assert "it takes about 8.5GB of weights" in load.numbers
    known = load_of(model(5 * GB), machine)
    assert known is not None
    assert (known.weights, known.cache, known.estimated, known.runs) == (5 * GB, None, False, True)
    assert load_of(model(None), machine) is None
    assert load_of(Model("m", (file("m-8B-Q8_0.bin", 5 * GB),)), machine) is None


def test_what_is_loaded_is_the_first_file_with_its_shards_and_one_projector() -> None:
    """Not what else a repository has; unknown for what is no GGUF file, and where a size is unknown."""
    shards = [file(f"big-0000{number}-of-00003.gguf", 10) for number in (1, 2, 3)]
    eye, eyes = file("mmproj-F16.gguf", 4, "projector"), file("mmproj-F32.gguf", 8, "projector")
    assert weights_of([*shards, file("other-Q8_0.gguf", 100), eye, eyes]) == 34
    assert weights_of([file("a.gguf", 3), file("b.gguf", 5)]) == 3
    assert weights_of([*shards[:2], file(shards[2].name, None)]) is None
    assert weights_of([eye]) is None
    assert weights_of([file("model.safetensors", 3)]) is None
