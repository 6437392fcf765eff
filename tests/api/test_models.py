"""The Python API beside install: what the commands tell and do, as values, in any thread, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import luci_dl
from luci_dl.errors import IntegrityError, Interrupted, LuciError, ResolveError, UsageError
from luci_dl.events import DiskSpace, Event, Removed, VerifySummary, WouldInstall
from luci_dl.plan import Options
from tests.api.test_install import in_thread
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left
from tests.formats.files import REAL
from tests.procs import Spawned, files_left, wait_until
from tests.servers import FaultyServer, faults


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A catalog of the user's own: "one" of a single file, with a header; "set" of two."""
    shop = Shop(server, tmp_path / "catalog.toml")
    monkeypatch.setenv("LUCI_CATALOG", str(shop.file))
    shop.sell("one", REAL, license="mit")
    shop.sell("set", files=["set-1.gguf", "set-2.gguf"])
    return shop


@pytest.fixture
def models(shop: Shop, home: Path) -> Path:
    """The models folder, in which both are installed."""
    luci_dl.install("one", "set", options=Options(min_free=0))
    return home / "models"


@pytest.fixture(autouse=True)
def _not_a_word(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


def test_what_is_installed(models: Path) -> None:
    """As `luci list` has it."""
    one, two = in_thread(luci_dl.installed)
    assert (one.reference, one.state, one.size) == ("one", "ok", len(REAL))
    assert [file.path.name for file in two.files] == ["set-1.gguf", "set-2.gguf"]
    assert luci_dl.installed(models / "elsewhere") == []


def test_the_path_to_load(models: Path) -> None:
    """Or why there is none."""
    assert in_thread(lambda: luci_dl.path("set")) == models / "set-1.gguf"
    with pytest.raises(ResolveError, match="not installed"):
        luci_dl.path("mistral")
    with pytest.raises(ResolveError):
        luci_dl.path("one", folder=models / "elsewhere")
    (models / "one.gguf").write_bytes(b"GGUF")
    with pytest.raises(IntegrityError, match="has changed"):
        luci_dl.path("one")


def test_all_that_is_known(models: Path) -> None:
    """Of a model that is installed, and of one that is not."""
    info = in_thread(lambda: luci_dl.info("one"))
    assert (info.name, info.entry and info.entry.license, len(info.installed)) == ("one", "mit", 1)
    assert [file.header and file.header.architecture for file in info.gguf] == ["llama"]
    assert luci_dl.info("mistral").installed == ()
    with pytest.raises(ResolveError, match="did you mean"):
        luci_dl.info("mistrl")


def test_the_catalog(shop: Shop) -> None:
    """All of it, or what is searched for."""
    assert {"one", "tinyllama"} <= {model.reference for model in in_thread(luci_dl.catalog)}
    assert [model.reference for model in luci_dl.search("set-2")] == ["set"]
    with pytest.raises(ResolveError):
        luci_dl.search("nosuchmodel")


def test_a_forecast_changes_nothing(shop: Shop, home: Path) -> None:
    """What would come, how large it is, what would go wrong."""
    told: list[Event] = []
    found = in_thread(lambda: luci_dl.forecast("one", "set", emit=told.append))
    assert [(each.name, each.action) for each in found.files] == [
        *(("one.gguf", "download"), ("set-1.gguf", "download"), ("set-2.gguf", "download"))
    ]
    assert [room.needed for room in found.room] == [len(REAL) + 2 * len(DATA)]
    assert found.failed == ()
    assert [event for event in told if isinstance(event, WouldInstall | DiskSpace)] == [*found.files, *found.room]
    (failed,) = luci_dl.forecast("one", options=Options(min_free=1 << 60)).failed
    assert failed.exit_code == 6
    assert not home.exists()


def test_what_runs(shop: Shop, home: Path) -> None:
    """In another process."""
    shop.sell("slow", OTHER, [faults.stall(len(OTHER) // 2)])
    assert luci_dl.status() == []
    with Spawned("install", "slow") as other:
        (run,) = wait_until(luci_dl.status)
        assert (run.pid, run.model, run.folder) == (other.pid, "slow", home / "models")


def test_verdicts(models: Path) -> None:
    """For each file; a wrong one is no error, unless its repair fails."""
    told: list[Event] = []
    assert {verdict.state for verdict in in_thread(luci_dl.verify)} == {"ok"}
    (models / "one.gguf").write_bytes(b"GGUF")
    (verdict,) = luci_dl.verify("one", emit=told.append)
    assert (verdict.state, verdict.wrong, told[-2:]) == ("truncated", True, [verdict, VerifySummary(1, 1, 0)])
    assert [each.wrong for each in luci_dl.verify("one", repair=True)] == [True]
    assert [each.wrong for each in luci_dl.verify("one")] == [False]
    with pytest.raises(ResolveError):
        luci_dl.verify("mistral")


def test_a_repair_that_fails_raises(models: Path, shop: Shop) -> None:
    """Once, and with what was told; what is wrong stays for the next try."""
    (models / "one.gguf").write_bytes(b"GGUF")
    shop.sell("one", REAL, [faults.login_page()])
    with pytest.raises(LuciError, match="web page"):
        luci_dl.verify("one", repair=True)
    assert luci_dl.verify("one")[0].state == "truncated"


def test_removing(models: Path) -> None:
    """Told beforehand, done, and not twice."""
    told: list[Event] = []
    would = luci_dl.remove("set", "one", dry_run=True)
    assert [removed.reference for removed in would] == ["set", "one"]
    assert len(luci_dl.installed()) == 2
    assert in_thread(lambda: luci_dl.remove("set", emit=told.append)) == told
    assert isinstance(told[0], Removed)
    assert_nothing_left(models, "one.gguf")
    with pytest.raises(ResolveError, match="not installed"):
        luci_dl.remove("one", "set")
    assert [model.reference for model in luci_dl.installed()] == ["one"]


def test_cleaning_by_name(models: Path) -> None:
    """Only that model's."""
    for name in ("one", "set-1"):
        (models / ".luci" / f"{name}.gguf.part").write_bytes(b"GGUF")
    luci_dl.clean("set")
    assert ".luci/one.gguf.part" in files_left(models)
    assert ".luci/set-1.gguf.part" not in files_left(models)
    with pytest.raises(ResolveError):
        luci_dl.clean("nosuchmodel")


def test_a_cancelled_token_stops_all_that_works(models: Path) -> None:
    """Before it has changed anything."""
    token = luci_dl.CancelToken()
    token.cancel()
    before = files_left(models)
    with pytest.raises(Interrupted):
        luci_dl.verify(token=token)
    with pytest.raises(Interrupted):
        luci_dl.remove("one", token=token)
    with pytest.raises(Interrupted):
        luci_dl.install("one", options=Options(min_free=0), token=token)
    assert files_left(models) == before


def test_what_a_callback_raises_comes_out_of_every_function(models: Path) -> None:
    def emit(_event: Event) -> None:
        raise ZeroDivisionError

    for work in (luci_dl.verify, luci_dl.clean):
        with pytest.raises(ZeroDivisionError):
            work(emit=emit)
    with pytest.raises(ZeroDivisionError):
        luci_dl.remove("one", dry_run=True, emit=emit)
    with pytest.raises(ZeroDivisionError):
        luci_dl.forecast("one", emit=emit)


def test_the_settings_are_those_of_the_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment and config.json, which may be broken."""
    home.mkdir()
    (home / "config.json").write_text('{"retries": 3}')
    monkeypatch.setenv("LUCI_MODELS_DIR", "/elsewhere")
    assert (luci_dl.settings().retries, luci_dl.settings().models_dir) == (3, Path("/elsewhere"))
    assert luci_dl.settings("/named").models_dir == Path("/named")
    for folder in ("", 3):
        with pytest.raises(UsageError, match="expected a folder"):
            luci_dl.settings(folder)  # type: ignore[arg-type]
    (home / "config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config\.json"):
        luci_dl.installed()


def test_the_package_says_that_it_is_typed() -> None:
    """For the type checkers of those who use it."""
    assert (Path(luci_dl.__file__).parent / "py.typed").is_file()
