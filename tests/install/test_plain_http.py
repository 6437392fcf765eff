"""Servers that are asked in plain http: only where nothing depends on what they state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import UsageError
from luci_dl.install.resolve import resolve
from luci_dl.model import Artifact, Model
from luci_dl.net import origin
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.selection import FileSelection
from tests.servers.hub import Hub
from tests.servers.registry import MODEL, Registry, digest_of

DATA = b"GGUF" + bytes(9_000)
SHA256 = digest_of(DATA)[7:]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on another machine of the same network."""
    monkeypatch.setattr(origin, "is_loopback", lambda _host: False)


@pytest.fixture
def context() -> Iterator[ResolveContext]:
    with Hub() as hub, Registry() as registry:
        hub.add("me/m", {"m.gguf": DATA})
        registry.push("library/m", "latest", (MODEL, DATA))
        yield ResolveContext(endpoints=Endpoints(hub=hub.endpoint, ollama=registry.address), retries=0)


NO_CATALOG = Catalog.of(())
REFERENCES = ["hf:me/m", "hf:me/m/m.gguf", "ollama:m"]


def found(word: str, context: ResolveContext, **more: object) -> Artifact:
    (model,) = resolve([word], NO_CATALOG, FileSelection(**more), context)  # type: ignore[arg-type]
    return model.artifacts[0]


@pytest.mark.parametrize("word", REFERENCES)
def test_digests_stated_in_plain_http_prove_nothing(context: ResolveContext, word: str) -> None:
    """No request is sent, and the message says what to do."""
    with pytest.raises(UsageError, match=r"(HF_ENDPOINT|OLLAMA_REGISTRY): .* asked in plain http") as caught:
        found(word, context)
    assert "--sha256" in caught.value.hint
    assert "luci config set http_hosts 127.0.0.1:" in caught.value.hint


@pytest.mark.parametrize("word", REFERENCES)
def test_a_digest_of_the_user_or_a_trusted_host_makes_plain_http_safe(context: ResolveContext, word: str) -> None:
    """So does the user's consent."""
    assert found(word, context, sha256=SHA256).sha256 == SHA256
    assert found(word, context, unverified=True).sha256 == SHA256
    trusting = replace(context, endpoints=replace(context.endpoints, http_hosts=("127.0.0.1",)))
    assert found(word, trusting).sha256 == SHA256


def test_a_pasted_address_with_its_digest_is_as_good(context: ResolveContext) -> None:
    """It stands after the #."""
    assert found(f"{context.endpoints.hub}/me/m/blob/main/m.gguf#sha256={SHA256}", context).sha256 == SHA256


@pytest.mark.parametrize(("sha256", "error"), [(SHA256, None), (None, "no digest is known")])
def test_the_catalog_proves_what_comes_in_plain_http(
    context: ResolveContext, sha256: str | None, error: str | None
) -> None:
    """Where it has a digest."""
    known = Artifact("m.gguf", ("https://huggingface.co/me/m/resolve/main/m.gguf",), sha256=sha256)
    catalog = Catalog.of([Model("known", (known,))])
    if error is None:
        (model,) = resolve(["known"], catalog, None, context)
        assert model.artifacts[0].urls[0].startswith(context.endpoints.hub)
    else:
        with pytest.raises(UsageError, match=error):
            resolve(["known"], catalog, None, context)


def test_a_registry_that_the_name_states_is_asked_in_plain_http_if_it_is_trusted(context: ResolveContext) -> None:
    """Any other is asked in https."""
    host = context.endpoints.ollama.removeprefix("http://")
    endpoints = Endpoints(http_hosts=(host,))
    assert (
        found(f"ollama:{host}/library/m", replace(context, endpoints=endpoints)).urls[0].startswith(f"http://{host}/")
    )
