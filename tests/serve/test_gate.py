"""What everybody may have, and how that is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request

from luci_dl.errors import LuciError, NetworkError, ResolveError
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


def test_what_is_known_is_not_asked_about() -> None:
    """Public or gated by its receipt; or from elsewhere, where nobody can be asked."""
    hub = Asked()
    gate = Gate(hub)
    assert asyncio.run(gate.is_public("me/m", "public", URL))
    assert not asyncio.run(gate.is_public("me/m", "gated", URL))
    assert not asyncio.run(gate.is_public("", "unknown", ""))
    assert hub.headers == []


def test_the_hub_is_asked_without_a_token_about_what_is_unknown() -> None:
    """Its answer holds for some time."""
    for hub, expected in ((Asked(), True), (Asked(ResolveError("no")), False)):
        gate = Gate(hub)
        for _ in range(2):
            assert asyncio.run(gate.is_public("me/m", "unknown", URL)) is expected
        assert hub.headers == [{}]


def test_nothing_unknown_is_public_while_the_hub_is_away() -> None:
    """That is an error, not an answer to be remembered."""
    hub = Asked(NetworkError("away"))
    gate = Gate(hub)
    for _ in range(2):
        with pytest.raises(NetworkError):
            asyncio.run(gate.is_public("me/m", "unknown", URL))
    assert len(hub.headers) == 2


@pytest.mark.parametrize(("forwarded", "allowed"), [({}, True), ({"X-Forwarded-For": "10.0.0.9"}, False)])
def test_over_plain_http_a_token_opens_nothing(forwarded: Mapping[str, str], allowed: bool) -> None:
    """It could be read on the way, and so could the file: what is not known to be public must be so."""

    async def ask_hub(_url: str, headers: Mapping[str, str]) -> None:
        if not headers:
            raise ResolveError("only with a token")

    async def ask() -> Mapping[str, str]:
        request = make_mocked_request(
            "GET", "/", {"Authorization": "Bearer t", "Host": "127.0.0.1", **forwarded}, transport=FromHere()
        )
        return await Gate(ask_hub).check(request, "me/m", "unknown", URL)

    if allowed:
        assert asyncio.run(ask()) == {"Authorization": "Bearer t"}
    else:
        with pytest.raises(Gated):
            asyncio.run(ask())
