"""The certificates are loaded once, in a thread while other things are done, and errors reach those who need them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from luci_dl.errors import NetworkError
from luci_dl.net import certificates
from luci_dl.net.network import Network
from luci_dl.net.trust import Trust
from tests.procs import wait_until


def loading() -> list[str]:
    """The threads that load certificates."""
    return [thread.name for thread in threading.enumerate() if thread.name == "luci-certificates"]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the thread of each load."""
    real, threads = certificates.trusted_certificates, list[str]()

    def load() -> object:
        threads.append(threading.current_thread().name)
        return real()

    monkeypatch.setattr(certificates, "trusted_certificates", load)
    return threads


def test_certificates_are_loaded_once_and_early(loaded: list[str]) -> None:
    """However often they are announced; who needs them before gets the same."""
    trust = Trust()
    trust.begin()
    trust.begin()
    assert trust.context() is trust.context()
    wait_until(lambda: not loading())
    assert len(loaded) == 1


@pytest.mark.parametrize(("url", "offline"), [("http://h/m.gguf", False), ("https://h/m.gguf", True)])
def test_what_is_not_needed_is_not_loaded(loaded: list[str], url: str, offline: bool) -> None:
    """Plain http needs no certificates, and offline nothing does."""
    Network(offline=offline).prepare_for(url)
    assert (loading(), loaded) == ([], [])


def test_certificates_are_loaded_before_the_first_request(loaded: list[str]) -> None:
    """In a thread of its own."""
    Network().prepare_for("https://h/m.gguf")
    assert wait_until(lambda: loaded) == ["luci-certificates"]
    wait_until(lambda: not loading())


def test_an_error_is_raised_to_those_who_need_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The thread says nothing."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "gone"))
    trust = Trust()
    trust.begin()
    wait_until(lambda: not loading())
    with pytest.raises(NetworkError, match="cannot be used"):
        trust.context()
    assert capsys.readouterr().err == ""
