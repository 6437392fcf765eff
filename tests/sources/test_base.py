"""Every kind of reference has one source that all commands use; a new one is a module and an entry in the tuple."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from luci_dl.api.clean import clean
from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import ResolveError, UsageError
from luci_dl.install.resolve import resolve
from luci_dl.library.lookup import find_installed, targets_of
from luci_dl.model import Artifact, Model
from luci_dl.sources import base
from luci_dl.sources.base import source_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.selection import FileSelection
from tests.disk.hands import kill_after
from tests.procs import files_left

HERE = Endpoints(hub="http://127.0.0.1:8000/hf")


@pytest.mark.parametrize(
    ("word", "origin", "canonical", "targets"),
    [
        ("hf.co/me/m:Q8_0", "hub", "hf:me/m:Q8_0", ()),
        ("HF:me/m/sub/m.gguf", "hub", "hf:me/m/sub/m.gguf", ("me/m/sub/m.gguf",)),
        ("http://127.0.0.1:8000/hf/me/m/blob/main/m.gguf", "hub", "hf:me/m/m.gguf", ("me/m/m.gguf",)),
        ("ollama.com/library/m", "registry", "ollama:m:latest", ("m-latest.gguf", "m-latest.mmproj.gguf")),
        ("https://me:secret@h/a%20b.gguf#sha256=" + "a1" * 32, "user", "https://h/a%20b.gguf", ("a b.gguf",)),
        ("https://h/", "user", "https://h/", ()),
    ],
)
def test_a_reference_has_one_source(word: str, origin: str, canonical: str, targets: tuple[str, ...]) -> None:
    """It knows the canonical form, which it also claims, who states the digests, and the possible targets."""
    source = source_of(word, HERE)
    assert source is not None
    assert (source.DIGEST_ORIGIN, source.canonical(word, HERE)) == (origin, canonical)
    assert source_of(canonical, HERE) is source
    assert tuple(source.targets(canonical)) == targets


@pytest.mark.parametrize("word", ["mistral", "a.gguf", "me/m/m.gguf", "C:\\m.gguf", ""])
def test_a_name_and_a_file_have_no_source(word: str) -> None:
    assert source_of(word) is None
    assert targets_of(word) == ()


def test_the_sources_cost_nothing_until_one_is_used() -> None:
    """A name in the catalog loads neither the parsers of references nor anything that talks to servers."""
    code = (
        "import sys; from luci_dl.sources.base import source_of; assert source_of('mistral') is None; "
        "print([name for name in sys.modules if name.startswith(('luci_dl.sources.', 'urllib3', 'ssl'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for module in ("reference", "hub", "name'", "manifest", "resolve", "urllib3", "ssl"):
        assert module not in loaded


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more source, with nothing but an entry in the tuple."""

    def targets(reference: str) -> tuple[str]:
        return (f"{reference.removeprefix('toy:')}.gguf",)

    def made(word: str, _selection: FileSelection, _context: ResolveContext) -> Model:
        reference = word.casefold()
        return Model(reference, (Artifact(targets(reference)[0], ("https://h/x",), sha256="a1" * 32),))

    source = ModuleType("toy")
    vars(source).update(
        DIGEST_ORIGIN="registry",
        TAKES_PATTERNS=False,
        TAKES_HEADERS=False,
        RECEIPT_IS_ENOUGH=True,
        claims=lambda word, _endpoints: word.casefold().startswith("toy:"),
        canonical=lambda word, _endpoints: word.casefold(),
        targets=targets,
        resolve=made,
        servers=lambda _endpoints: (),
    )
    monkeypatch.setattr(base, "SOURCES", (source, *base.SOURCES))


@pytest.mark.usefixtures("toy")
def test_a_new_source_is_known_to_every_command(tmp_path: Path) -> None:
    """Resolved with its options checked, looked up by its canonical form, and cleaned by its targets."""
    (model,) = resolve(["TOY:m"], Catalog.of([]), FileSelection(output="x.gguf"))
    assert (model.reference, model.artifacts[0].name) == ("toy:m", "x.gguf")
    with pytest.raises(UsageError, match="TOY:m is not one"):
        resolve(["TOY:m"], Catalog.of([]), FileSelection(all_files=True))
    with pytest.raises(UsageError, match="must follow the name of a group"):
        resolve(["TOY:m", "models"], Catalog.of([]))
    with pytest.raises(ResolveError, match="TOY:m is not installed"):
        find_installed("TOY:m", Catalog.of([]), [])
    models = tmp_path / "models"
    kill_after(models, b"GGUF" + bytes(100_000), 50_000, "m.gguf")
    assert clean("TOY:m", folder=models).removed
    assert files_left(models) == []
