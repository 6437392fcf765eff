from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Model
from luci_dl.sources.endpoints import Endpoints, endpoints_of

A = "a1" * 32
FILE = "https://huggingface.co/me/m/resolve/main/m.gguf"


def test_a_file_of_the_hub_may_come_from_its_mirrors_when_a_digest_proves_it() -> None:
    """The address of the Hub, or of HF_ENDPOINT, is first, and only it gets the token."""
    endpoints = Endpoints("https://hub.example", "secret", ("https://one.example", "https://two.example/hf"))
    (spread,) = endpoints.with_mirrors(Model("m", (Artifact("m.gguf", (FILE,), sha256=A),))).artifacts
    path = "/me/m/resolve/main/m.gguf"
    assert spread.urls == (f"https://hub.example{path}", f"https://one.example{path}", f"https://two.example/hf{path}")
    assert spread.headers == {"Authorization": "Bearer secret"}
    (alone,) = endpoints.with_mirrors(Model("m", (Artifact("m.gguf", (FILE,)),))).artifacts
    assert alone.urls == (f"https://hub.example{path}",)


@pytest.mark.parametrize("url", ["https://example.com/m.gguf", "http://huggingface.co/m", "https://huggingface.co.x/m"])
def test_other_addresses_stay_as_they_are(url: str) -> None:
    """They get no token and have no mirrors."""
    model = Model("m", (Artifact("m.gguf", (url,), sha256=A),))
    assert Endpoints(hub_token="secret", mirrors=("https://one.example",)).with_mirrors(model) == model


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hub.example/api/x", True),
        ("https://hub.example:443/x", False),
        ("http://hub.example/x", False),
        ("https://hub.example.evil/x", False),
        ("https://cdn.hub.example/x", False),
    ],
)
def test_only_the_host_of_the_hub_gets_the_token(url: str, expected: bool) -> None:
    assert bool(Endpoints("https://hub.example", "secret").headers_for(url)) is expected


def test_the_token_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    """HF_TOKEN, then HF_TOKEN_PATH, then what the Hub's tools saved; it is never shown."""
    (tmp_path / "token").write_text("saved\n")
    (tmp_path / "other").write_text("other\n")
    environ = {"HF_HOME": str(tmp_path)}
    assert endpoints_of(environ).hub_token == "saved"
    assert endpoints_of({**environ, "HF_TOKEN_PATH": str(tmp_path / "other")}).hub_token == "other"
    assert endpoints_of({**environ, "HF_TOKEN": " told "}).hub_token == "told"
    assert endpoints_of({"HF_HOME": str(tmp_path / "none")}).hub_token is None
    assert "saved" not in repr(endpoints_of(environ))
    with pytest.raises(UsageError, match="HF_TOKEN holds") as caught:
        endpoints_of({"HF_TOKEN": "to\nken"})
    assert "ken" not in caught.value.message.replace("token", "")
    with pytest.raises(UsageError, match="HF_TOKEN is in quotes") as caught:
        endpoints_of({"HF_TOKEN": '"secret"'})
    assert "secret" not in caught.value.message
    for name in ("HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        with pytest.raises(UsageError, match=f"{name} is in quotes"):
            endpoints_of({name: f"'{tmp_path}'"})
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfsaved\r\n")
    assert endpoints_of(environ).hub_token == "saved"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("HF_ENDPOINT", "hub.example", "HF_ENDPOINT"),
        ("HF_ENDPOINT", "https://hub.example?x=1", "without credentials and query"),
        ("LUCI_MIRRORS", "https://me:secret@one.example", "without credentials and query"),
        ("LUCI_MIRRORS", "https://one.example ftp://two.example", "LUCI_MIRRORS"),
    ],
)
def test_an_invalid_address_is_refused_with_its_variable(variable: str, value: str, problem: str) -> None:
    """A password in it is not shown."""
    with pytest.raises(UsageError, match=problem) as caught:
        endpoints_of({variable: value})
    assert "secret" not in caught.value.message


def test_a_server_on_the_lan_cannot_be_the_one_that_states_the_digests() -> None:
    """Nothing would prove its bytes then."""
    with pytest.raises(UsageError, match=r"lan: huggingface\.co states the digests, too"):
        endpoints_of({}, lan=["http://other:8480", "https://huggingface.co/"])
    assert endpoints_of({}, lan=["http://lab:8480/"]).lan == ("http://lab:8480",)


def test_a_server_on_the_lan_is_named_for_other_programs() -> None:
    """They need HF_ENDPOINT to ask it; the digests come from the Hub and from Ollama's registry all the same."""
    environ = {"HF_ENDPOINT": "http://lab:8480", "OLLAMA_REGISTRY": "http://lab:8480/"}
    endpoints, default = endpoints_of(environ, lan=["http://other:8480", "http://lab:8480/"]), Endpoints()
    assert (endpoints.hub, endpoints.ollama) == (default.hub, default.ollama)
    assert endpoints_of(environ, lan=["http://other:8480"]).hub == "http://lab:8480"


def test_documents_of_the_lan_may_come_in_plain_http() -> None:
    """A warning says whose word counts then; no other plain http is allowed by it."""
    endpoints = Endpoints(lan=("http://lab:8480",))
    endpoints.refuse_plain_http("http://lab:8480/api/models/me/m")
    with pytest.raises(UsageError):
        endpoints.refuse_plain_http("http://lab:84800/api/models/me/m")


@pytest.mark.parametrize(
    ("hub", "hosts", "expected"),
    [
        ("https://hub.lan", (), True),
        ("http://localhost:8000", (), True),
        ("http://hub.lan:8000", (), False),
        ("http://hub.lan:8000", ("hub.lan",), True),
        ("http://hub.lan:8000", ("hub.lan:8000",), True),
        ("http://hub.lan:8000", ("hub.lan:80", "lan"), False),
    ],
)
def test_the_token_is_not_sent_where_others_can_read_it(hub: str, hosts: tuple[str, ...], expected: bool) -> None:
    """Plain http is for this machine, and for the hosts that the user trusts."""
    endpoints = endpoints_of({"HF_ENDPOINT": hub, "HF_TOKEN": "secret"}, http_hosts=hosts)
    assert bool(endpoints.hub_headers) is bool(endpoints.headers_for(f"{hub}/x")) is expected


def test_mirrors_come_from_the_variable_or_the_settings() -> None:
    """Separated by commas or spaces; the Hub may be named among them, and counts once."""
    assert endpoints_of({"LUCI_MIRRORS": "https://one.example/, https://two.example"}, ["https://three.example"]) == (
        Endpoints(mirrors=("https://one.example", "https://two.example"))
    )
    assert endpoints_of({}, ["https://three.example"]).mirrors == ("https://three.example",)
    assert Endpoints(mirrors=("https://huggingface.co",)).hub_urls("/x") == ("https://huggingface.co/x",)
