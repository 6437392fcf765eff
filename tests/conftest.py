"""Fixtures of every test: a home directory of its own, a clean environment, and default signal handlers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import HealthCheck, settings

from luci_dl.disk import small_part
from tests.forked import close_fork_server
from tests.servers import FaultyServer

if TYPE_CHECKING:
    from tests.bucket import Store

USER_VARIABLES = (
    "LUCI_",
    "AWS_",
    "HF_",
    "HUGGING_FACE_",
    "OLLAMA_",
    "DOCKER_",
    "LLAMA_",
    "MODELS_PATH",
    "SSL_CERT_",
    "REQUESTS_CA_",
    "CURL_CA_",
    "XDG_",
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy")
TERMINAL_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE")
PYTHON_VARIABLES = ("PYTHONUNBUFFERED", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONUTF8", "PYTHONIOENCODING")

settings.register_profile("luci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("luci")  # other processes make an example slow


@pytest.fixture(scope="session", autouse=True)
def _default_signals() -> None:
    """A script's background jobs ignore SIGINT, and nohup ignores SIGHUP; children of the tests must not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LUCI_HOME that does not exist yet, in an environment without the developer's settings."""
    for name in list(os.environ):
        if name.startswith(USER_VARIABLES) or name.lower() in PROXIES or name in TERMINAL_VARIABLES + PYTHON_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _no_file_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the tests have some KiB, and stand for the large ones that users have."""
    monkeypatch.setattr(small_part, "SMALL", 0)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are about small files."""
    monkeypatch.setattr(small_part, "SMALL", 1 << 20)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """The authority that signs every certificate of the tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate, for SSL_CERT_FILE."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def tls_server(ca: trustme.CA) -> Iterator[FaultyServer]:
    with FaultyServer(tls=ca) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _fork_server_ends() -> Iterator[None]:
    yield
    close_fork_server()


@pytest.fixture(scope="session")
def moto() -> Iterator[Store]:
    from tests.bucket import running  # takes a second to load, and few tests need it

    with running() as store:
        yield store


@pytest.fixture
def store(moto: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with an empty bucket, and credentials for it in the environment."""
    from tests.bucket import KEY, SECRET

    moto.start()
    variables = {"ENDPOINT_URL": moto.address, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return moto
