"""From a stick: digests count, not names; what cannot be right is refused, and nothing of it imported."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.disk.layout import staging_for
from luci_dl.errors import IntegrityError, LockedError, ResolveError, StorageError
from luci_dl.events import Event, Failed, Warned
from luci_dl.library.installed import installed
from tests.disk.hands import install
from tests.interrupting import held
from tests.procs import files_left, luci
from tests.transport.conftest import DATA, OTHER, receipt_of, there

ENTRY = """
[[model]]
name = "known"
[[model.file]]
filename = "known/model.gguf"
url = "https://nowhere.invalid/m.gguf"
sha256 = "{}"
"""


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A model of two files, and one of one."""
    folder = tmp_path / "stick"
    install(folder, (DATA, "o/a.gguf"), (OTHER, "o/b.gguf"))
    install(folder, (OTHER, "c.gguf"))
    return folder


def sums_of(folder: Path, **names: bytes) -> None:
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in names.items()]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_all_of_it_is_imported(models: Path, stick: Path) -> None:
    """With its receipts; the stick stays as it is, and a second time it is there already."""
    before = files_left(stick)
    assert [each.outcome for each in luci_dl.import_models(stick)] == ["imported", "imported"]
    assert there(models) == ["c.gguf", "o/a.gguf", "o/b.gguf"]
    known, old = receipt_of(models, "o/a.gguf"), receipt_of(stick, "o/a.gguf")
    assert known == replace(old, mtime_ns=known.mtime_ns, verified=known.verified)
    assert [each.outcome for each in luci_dl.import_models(stick)] == ["already", "already"]
    assert files_left(stick) == before


def test_only_the_named_models_are(models: Path, stick: Path, tmp_path: Path) -> None:
    """Into the named folder, which is remembered."""
    luci_dl.import_models(stick, "c.gguf", folder=tmp_path / "big")
    assert (there(models), there(tmp_path / "big")) == ([], ["c.gguf"])
    assert luci_dl.path("c.gguf") == tmp_path / "big/c.gguf"
    assert luci_dl.import_models(stick, "c.gguf")[0].folder == str(tmp_path / "big")
    with pytest.raises(ResolveError, match=r"did you mean c\.gguf"):
        luci_dl.import_models(stick, "cc.gguf")


def test_wrong_bytes_are_refused(models: Path, stick: Path) -> None:
    """And nothing of that model is there afterwards; others are imported."""
    (stick / "o/b.gguf").write_bytes(OTHER[:-1] + b"!")
    events = list[Event]()
    with pytest.raises(IntegrityError, match=r"b\.gguf is damaged: the bytes of"):
        luci_dl.import_models(stick, emit=events.append)
    assert [event.reference for event in events if isinstance(event, Failed)] == ["o/a.gguf"]
    assert there(models) == ["c.gguf"]


@pytest.mark.parametrize("name", ["../evil.gguf", "/tmp/evil.gguf", "o/../../evil.gguf"])
def test_a_receipt_that_leads_out_is_refused(models: Path, stick: Path, name: str) -> None:
    """Nothing is changed."""
    path = staging_for(stick, "c.gguf").receipt
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"name": name, "files": [name]}))
    with pytest.raises(IntegrityError, match="is invalid: damaged, or about a file outside"):
        luci_dl.import_models(stick)
    assert (there(models), (stick.parent / "evil.gguf").exists()) == ([], False)


def test_sums_that_lead_out_are_refused(models: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.gguf").write_bytes(DATA)
    (tmp_path / "s").mkdir()
    sums_of(tmp_path / "s", **{"../evil.gguf": DATA})
    with pytest.raises(IntegrityError, match="could leave the models folder"):
        luci_dl.import_models(tmp_path / "s")
    assert there(models) == []


def test_sums_that_contradict_themselves_are_refused(models: Path, tmp_path: Path) -> None:
    """Whichever line is last."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a.gguf").write_bytes(DATA)
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for data, name in ((OTHER, "a.gguf"), (DATA, "./a.gguf"))]
    (tmp_path / "s/SHA256SUMS").write_text("".join(lines))
    with pytest.raises(IntegrityError, match=r"two SHA-256 digests for a\.gguf"):
        luci_dl.import_models(tmp_path / "s")
    assert there(models) == []


def test_files_with_the_same_bytes_are_all_imported(models: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / "s" / name).write_bytes(DATA)
    sums_of(tmp_path / "s", **{"a.gguf": DATA, "b.gguf": DATA})
    assert len(luci_dl.import_models(tmp_path / "s")) == 2
    assert there(models) == ["a.gguf", "b.gguf"]


def test_models_of_the_catalog_that_share_a_file_are_all_imported(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a projector; or a model that has the same bytes twice."""
    digest, other = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(OTHER).hexdigest()
    entries = []
    for model, files in {"one": ("one", "p"), "two": ("two", "p")}.items():
        entries.append(f'[[model]]\nname = "{model}"\n')
        for name, sha in zip(files, (digest, other), strict=True):
            entries.append(
                f'[[model.file]]\nfilename = "{model}/{name}.gguf"\nurl = "https://x.invalid/{model}{name}"\n'
            )
            entries.append(f'sha256 = "{sha}"\n')
    (tmp_path / "catalog.toml").write_text("".join(entries))
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    (tmp_path / "s").mkdir()
    (tmp_path / "s/x.gguf").write_bytes(DATA)
    (tmp_path / "s/y.gguf").write_bytes(OTHER)
    sums_of(tmp_path / "s", **{"x.gguf": DATA, "y.gguf": OTHER})
    assert sorted(each.reference for each in luci_dl.import_models(tmp_path / "s")) == ["one", "two"]
    assert there(models) == ["one/one.gguf", "one/p.gguf", "two/p.gguf", "two/two.gguf"]


def test_a_model_file_that_is_listed_but_missing_is_mentioned(models: Path, tmp_path: Path) -> None:
    """A person without a network wants to know before the stick is gone. Those that are there are imported."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a.gguf").write_bytes(DATA)
    sums_of(tmp_path / "s", **{"a.gguf": DATA, "b.gguf": OTHER, "README.md": b""})
    events = list[Event]()
    luci_dl.import_models(tmp_path / "s", emit=events.append)
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert warnings == [f"SHA256SUMS lists b.gguf, which is not in {tmp_path / 's'}"]
    assert there(models) == ["a.gguf"]


def test_a_file_is_no_stick(models: Path, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(StorageError, match="is not a folder"):
        luci_dl.import_models(tmp_path / "f")


def test_two_digests_for_one_file_are_refused(models: Path, stick: Path) -> None:
    sums_of(stick, **{"c.gguf": DATA})
    with pytest.raises(IntegrityError, match="two SHA-256 digests"):
        luci_dl.import_models(stick, "c.gguf")
    assert there(models) == []


def test_a_sum_is_enough(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the catalog knows gets that name; another one keeps its own. Other kinds of files stay there."""
    catalog, stick = tmp_path / "catalog.toml", tmp_path / "stick"
    catalog.write_text(ENTRY.format(hashlib.sha256(DATA).hexdigest()))
    monkeypatch.setenv("LUCI_CATALOG", str(catalog))
    (stick / "x").mkdir(parents=True)
    files = {"renamed.gguf": DATA, "x/own.gguf": OTHER, "notes.txt": OTHER[:9]}
    for name, data in files.items():
        (stick / name).write_bytes(data)
    sums_of(stick, **files)
    luci_dl.import_models(stick)
    assert there(models) == ["known/model.gguf", "x/own.gguf"]
    assert [(model.reference, model.state) for model in installed([models])] == [("known", "ok"), ("x/own.gguf", "ok")]
    assert receipt_of(models, "known/model.gguf").proof == "sha256"


def test_a_sum_is_checked(models: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a.gguf").write_bytes(OTHER)
    sums_of(tmp_path / "s", **{"a.gguf": DATA})
    with pytest.raises(IntegrityError):
        luci_dl.import_models(tmp_path / "s")
    assert there(models) == []


def test_another_version_is_not_replaced(models: Path, stick: Path) -> None:
    """Nor a model in use."""
    install(models, (DATA, "c.gguf"))
    with pytest.raises(IntegrityError, match="another version"):
        luci_dl.import_models(stick, "c.gguf")
    assert (models / "c.gguf").read_bytes() == DATA
    with held(staging_for(models, "o/a.gguf").lock), pytest.raises(LockedError):
        luci_dl.import_models(stick, "a.gguf")
    assert there(models) == ["c.gguf"]


def test_there_must_be_something_to_import(models: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        luci_dl.import_models(tmp_path / "usb")
    (tmp_path / "usb").mkdir()
    with pytest.raises(ResolveError, match="no models that can be imported"):
        luci_dl.import_models(tmp_path / "usb")


def test_the_command_line_says_what_it_does(models: Path, stick: Path) -> None:
    """A dry run changes nothing."""
    dry = luci("import", stick, "c.gguf", "--dry-run", "--json")
    (event,) = map(json.loads, dry.stdout.splitlines())
    assert (event["outcome"], event["dry_run"], event["copied"], there(models)) == ("imported", True, len(OTHER), [])
    assert luci("import").returncode == 2
    ended = luci("import", stick, "c.gguf")
    assert (ended.returncode, there(models)) == (0, ["c.gguf"])
    assert ended.stdout.startswith(f"✅ Imported c.gguf to {models}")
