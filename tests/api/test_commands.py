"""What the API has for the command line beside its public functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.api import catalog, catalog_edit, config, doctor, shell, version
from luci_dl.api.install import InstallRequest, exit_code
from luci_dl.cancel import CancelToken
from luci_dl.errors import ResolveError
from luci_dl.events import Event, Finding, Requested
from luci_dl.sources.selection import FileSelection
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left
from tests.servers import FaultyServer


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    return Shop(server, tmp_path / "catalog.toml")


def test_a_request_is_placed_and_installed_in_steps(shop: Shop, home: Path) -> None:
    """So that a command can ask in between; each request to a server is logged if that is wanted."""
    shop.sell("m")
    token, told, log = CancelToken(), list[Event](), list[Event]()
    settings = config.settings()
    request = InstallRequest.resolve(
        ["m"], settings, FileSelection(), settings.options, token, told.append, named_folder=False, log=log.append
    )
    assert [model.reference for model in request.models] == ["m"]
    (plan,) = request.plans()
    assert plan.folder == home / "models"
    assert exit_code(request.install([plan])) == 0
    assert [type(event) for event in log] == [Requested]
    assert_nothing_left(home / "models", "m.gguf")


def test_offers_say_what_is_installed_and_what_fits(shop: Shop, home: Path) -> None:
    shop.sell("there")
    shop.sell("other", OTHER)
    settings = config.settings()
    request = InstallRequest.resolve(
        ["there"], settings, FileSelection(), settings.options, CancelToken(), print, named_folder=False
    )
    request.install(request.plans())
    own = catalog.own_models(settings)
    assert [model.reference for model in own] == ["there", "other"]
    assert [(offer.model, offer.installed, offer.fit.disk) for offer in catalog.offers(own, settings)] == [
        (own[0], True, True),
        (own[1], False, True),
    ]
    assert catalog.load(settings.catalog).find("other") == own[1]


def test_a_catalog_is_looked_after(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sell("m")
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "own.toml"))
    settings = config.settings()
    file = catalog_edit.own_file(settings)
    assert catalog_edit.add(file, shop.file).new == ("m",)
    assert catalog.check_file(file.file).problems == ()
    with pytest.raises(ResolveError, match="there is no model"):
        catalog_edit.update(file, settings, ["nosuchmodel"], CancelToken(), print, pin=False, dry_run=True)


def test_the_doctor_looks_at_everything(home: Path) -> None:
    """Offline, no server; settings that are wrong are one finding among the others."""
    found: list[Event] = []
    assert doctor.doctor(None, CancelToken(), found.append, offline=True) == 0
    topics = [event.topic for event in found if isinstance(event, Finding)]
    assert topics[:3] == ["versions", "config", "catalog"]
    assert topics[-1] == "reach"
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text("{")
    found.clear()
    assert doctor.doctor(None, CancelToken(), found.append, offline=True) == 2
    assert [event.level for event in found if isinstance(event, Finding)] == ["ok", "error", "ok"]


def test_versions() -> None:
    assert {"luci", "Python", "urllib3"} <= version.versions().keys()


def test_the_history_of_the_shell(tmp_path: Path) -> None:
    """Its folder is made when there is something to remember."""
    file = tmp_path / "home" / "history"
    shell.append_history(file, b"one\n")
    shell.append_history(file, b"two\n")
    assert file.read_bytes() == b"one\ntwo\n"
    shell.replace_history(file, DATA)
    assert file.read_bytes() == DATA
