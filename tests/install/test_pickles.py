"""Files that may run code when loaded are named, or left out."""

from __future__ import annotations

import pytest

from luci_dl.errors import ResolveError
from luci_dl.events import Event, Warned
from luci_dl.install.pickles import warn_of_pickles, without_pickles
from luci_dl.model import Artifact, Model


def model(*names: str) -> Model:
    return Model("hf:me/m", tuple(Artifact(name, (f"https://x/{name}",)) for name in names))


def names(model: Model) -> list[str]:
    return [artifact.name for artifact in model.artifacts]


def test_pickles_are_known_by_their_names() -> None:
    """In upper and lower case; every other file stays."""
    safe = ["a.gguf", "a.safetensors", "a.onnx", "a.bin.json", "bin", "a.ptx"]
    pickles = ["a.bin", "a.PT", "a.pth", "a.ckpt", "sub/a.pkl", "a.pickle", "a.joblib", "a.dill", "a.pth.tar"]
    told: list[Event] = []
    (kept,) = without_pickles([model(*pickles, *safe)], told.append)
    assert names(kept) == safe
    (warning,) = told
    assert isinstance(warning, Warned)
    assert all(name in warning.message for name in pickles)
    told.clear()
    assert without_pickles([kept], told.append) == [kept]
    warn_of_pickles([kept], told.append)
    assert not told


def test_many_pickles_are_one_warning() -> None:
    """With the first names, of all models together."""
    told: list[Event] = []
    warn_of_pickles(
        [model(*(f"{number}.pt" for number in range(9))), model(*(f"{number}.bin" for number in range(9)))], told.append
    )
    (warning,) = told
    assert isinstance(warning, Warned)
    assert warning.message.endswith("0.bin, and 8 more")
    assert "--safe-only" in warning.message


def test_a_model_that_is_all_pickles_cannot_be_installed_safely() -> None:
    with pytest.raises(ResolveError, match="leaves nothing of hf:me/m"):
        without_pickles([model("a.gguf"), model("a.bin")], lambda _event: None)


def test_another_name_does_not_make_a_pickle_safe() -> None:
    """The address tells what it is; only bytes that are checked to be of a safe format override it."""
    for name, url in (("a.dat", "https://x/a.p%74?v=1"), ("a", "https://x/a.ckpt"), ("a.zip", "https://x/b.bin")):
        with pytest.raises(ResolveError, match="safe-only"):
            without_pickles([Model(url, (Artifact(name, ("https://y/a", url)),))], lambda _event: None)
    renamed = Model("x", (Artifact("a.gguf", ("https://x/a.bin",)),))
    assert without_pickles([renamed], lambda _event: None) == [renamed]
