"""Which certificates are trusted, and the messages about those that are not."""

from __future__ import annotations

import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from luci_dl.errors import NetworkError, UsageError
from luci_dl.net import certificates
from luci_dl.net.certificates import FILES, FOLDERS, trusted_certificates
from tests.net.asking import DATA, body
from tests.servers import FaultyServer
from tests.tools import need

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Issuer(trustme.CA):
    """An authority whose certificates all have the same fault.

    Args:
        names: in every certificate, whatever is requested.
    """

    def __init__(self, names: tuple[str, ...] = ("127.0.0.1", "localhost"), since: int = -2, until: int = 2) -> None:
        super().__init__()
        self._names = names
        self._since, self._until = since, until

    def issue_cert(self, *_names: str, **_more: object) -> trustme.LeafCert:
        return super().issue_cert(*self._names, not_before=NOW + self._since * DAY, not_after=NOW + self._until * DAY)


@pytest.fixture(params=["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def variable(request: pytest.FixtureRequest, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(request.param, str(ca_file))
    return str(request.param)


def test_the_named_authority_is_trusted(tls_server: FaultyServer, variable: str) -> None:
    """Any of the usual variables may name it."""
    assert body(tls_server.serve("/m.gguf", DATA)) == DATA


def test_the_first_variable_that_is_set_is_used(
    tls_server: FaultyServer, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later variable is ignored, even if its file is broken."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    assert body(tls_server.serve("/m.gguf", DATA)) == DATA
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NetworkError, match="REQUESTS_CA_BUNDLE="):
        body(tls_server.url("/m.gguf"))


@pytest.mark.skipif(sys.platform != "linux", reason="only there OpenSSL knows the system's certificates")
def test_a_file_is_loaded_once(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL itself loads what SSL_CERT_FILE names."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    monkeypatch.setattr(certificates, "_load", lambda *_all: pytest.fail("loaded again"))
    assert trusted_certificates().cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
@pytest.mark.skipif(sys.platform != "linux", reason="only OpenSSL looks certificates up in folders")
def test_a_folder_of_authorities_is_trusted(
    tls_server: FaultyServer, ca_file: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of its files are hashes of their subjects."""
    (tmp_path / "ca.pem").write_bytes(ca_file.read_bytes())
    subprocess.run([need("openssl"), "rehash", str(tmp_path)], check=True)
    monkeypatch.setenv(name, str(tmp_path))
    assert body(tls_server.serve("/m.gguf", DATA)) == DATA


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_broken_certificate_file_is_named(
    tls_server: FaultyServer, tmp_path: Path, content: str | None, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the variable and the reason: it is missing, or holds no certificate."""
    path = tmp_path / "broken.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(NetworkError, match="No such file" if content is None else "no certificate") as caught:
        body(tls_server.serve("/m.gguf", DATA))
    assert f"{variable}={path}" in caught.value.message
    assert variable in caught.value.hint


def test_a_missing_certificate_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL would ignore it silently; one folder that exists is enough."""
    gone = tmp_path / "gone"
    monkeypatch.setenv("SSL_CERT_DIR", f"{gone}:{gone}")
    with pytest.raises(NetworkError, match=r"SSL_CERT_DIR=.*no such folder"):
        trusted_certificates()
    monkeypatch.setenv("SSL_CERT_DIR", f"{gone}:{tmp_path}")
    trusted_certificates()


def test_the_authorities_of_the_system_are_trusted() -> None:
    """Those that OpenSSL finds, or else truststore; and a certificate is required."""
    context = trusted_certificates()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_an_unknown_authority_is_one_clear_message(tls_server: FaultyServer) -> None:
    """It is not retried, and names the host, the reason, and what to do behind a company's proxy."""
    with pytest.raises(NetworkError, match=r"certificate of 127\.0\.0\.1:\d+ cannot be trusted") as caught:
        body(tls_server.serve("/m.gguf", DATA))
    assert "its issuer is not trusted on this computer" in caught.value.message
    assert "SSL_CERT_FILE" in caught.value.hint
    assert "_ssl.c" not in caught.value.message


@pytest.mark.parametrize(
    ("issuer", "reason", "hint"),
    [
        (Issuer(since=-3, until=-1), "it has expired", "clock"),
        (Issuer(since=1), "it is not valid yet", "clock"),
        (Issuer(("other.example",)), "it is for another host", "name"),
    ],
    ids=["expired", "early", "of another host"],
)
def test_the_fault_of_a_certificate_is_named(
    issuer: Issuer, reason: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although its authority is trusted; so the hint does not mention SSL_CERT_FILE."""
    issuer.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with (
        FaultyServer(tls=issuer) as server,
        pytest.raises(NetworkError, match=f"cannot be trusted: {reason}") as caught,
    ):
        body(server.serve("/m.gguf", DATA))
    assert hint in caught.value.hint
    assert "SSL_CERT_FILE" not in caught.value.hint


def test_a_certificate_of_another_name_is_refused(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a network that requires a sign-in: the same server is reached by another name."""
    issuer = Issuer(("127.0.0.1",))
    issuer.cert_pem.write_to_path(str(ca_file.with_name("other.pem")))
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file.with_name("other.pem")))
    with FaultyServer(tls=issuer) as server:
        url = server.serve("/m.gguf", DATA)
        assert body(url) == DATA
        with pytest.raises(NetworkError, match=r"certificate of localhost:\d+ .* another host") as caught:
            body(url.replace("127.0.0.1", "localhost"))
        assert "log in" in caught.value.hint


@pytest.mark.parametrize("name", [*FILES, FOLDERS])
def test_a_variable_in_quotes_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be part of the path."""
    monkeypatch.setenv(name, "'/etc/ssl/corp.pem'")
    with pytest.raises(UsageError, match=f"{name} is in quotes"):
        trusted_certificates()
