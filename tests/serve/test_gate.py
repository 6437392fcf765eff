"""What everybody may have, and how that is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request

from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.model import Access
from luci_dl.serve.gate import Gate, Gated

URL = "https://huggingface.co/me/m/resolve/main/m.gguf"


class FromHere(asyncio.Transport):
    """A connection from this machine, without TLS."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 40_000) if name == "peername" else default


class Asked:
    """A Hub that answers with the error, or well."""

    def __init__(self, error: LuciError | None = None) -> None:
        self.error = error
        self.headers: list[Mapping[str, str]] = []

    async def __call__(self, _url: str, headers: Mapping[str, str]) -> None:
        self.headers.append(headers)
        if self.error:
            raise self.error


def ask(gate: Gate, access: Access, repository: str = "me/m", url: str = URL, **headers: str) -> Mapping[str, str]:
    """A client of this machine, or of another one behind a proxy here, asks for a file. Raises: as `Gate.check`."""
    sent = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}

    async def check() -> Mapping[str, str]:
        return await gate.check(make_mocked_request("GET", "/", sent, transport=FromHere()), repository, access, url)

    return asyncio.run(check())


def test_what_is_known_is_not_asked_about() -> None:
    """Public by its receipt; or from elsewhere, where nobody can be asked."""
    hub = Asked()
    assert ask(Gate(hub), "public") == {}
    with pytest.raises(Gated):
        ask(Gate(hub), "unknown", repository="")
    assert hub.headers == []


def test_the_hub_is_asked_without_a_token_about_what_is_unknown() -> None:
    """Its answer holds for some time."""
    hub = Asked()
    gate = Gate(hub)
    for _ in range(2):
        assert ask(gate, "unknown") == {}
    assert hub.headers == [{}]
    hub = Asked(ResolveError("no"))
    gate = Gate(hub)
    for _ in range(2):
        with pytest.raises(Gated):
            ask(gate, "unknown")
    assert hub.headers == [{}]


def test_what_holds_for_one_file_says_nothing_of_another() -> None:
    """Of some repositories everybody may read the description."""
    hub = Asked()
    gate = Gate(hub)
    assert ask(gate, "unknown") == ask(gate, "unknown", url=f"{URL}.2") == {}
    assert len(hub.headers) == 2


def test_nothing_unknown_is_public_while_the_hub_is_away() -> None:
    """That is an error, not an answer to be remembered."""
    hub = Asked(NetworkError("away"))
    gate = Gate(hub)
    for _ in range(2):
        with pytest.raises(NetworkError):
            ask(gate, "unknown")
    assert len(hub.headers) == 2


@pytest.mark.parametrize(("forwarded", "allowed"), [({}, True), ({"X_Forwarded_For": "10.0.0.9"}, False)])
def test_over_plain_http_a_token_opens_nothing(forwarded: Mapping[str, str], allowed: bool) -> None:
    """It could be read on the way, and so could the file: what is not known to be public must be so."""

    async def ask_hub(_url: str, headers: Mapping[str, str]) -> None:
        if not headers:
            raise ResolveError("only with a token")

    if allowed:
        assert ask(Gate(ask_hub), "unknown", Authorization="Bearer t", **forwarded) == {"Authorization": "Bearer t"}
    else:
        with pytest.raises(Gated):
            ask(Gate(ask_hub), "unknown", Authorization="Bearer t", **forwarded)
