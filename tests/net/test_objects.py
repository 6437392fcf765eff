"""Objects in a bucket: the addresses that they are read at, and how they are written."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.net import objects

if TYPE_CHECKING:
    from tests.bucket import Store

DATA = bytes(range(256)) * 64


def read(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as response:
        body: bytes = response.read()
        return body


@pytest.mark.parametrize("key", ["a.gguf", "o/a.gguf", "o/a b%20ü+=&@:'.gguf"])
def test_a_signed_address_serves_the_object(store: Store, key: str) -> None:
    """Whatever its key; without the signature it does not."""
    objects.put(f"s3://models/{key}", iter([DATA]), len(DATA))
    address = objects.signed(f"s3://models/{key}")
    assert read(address) == DATA
    assert store.calls[-1].path == f"/models/{key}".encode().decode("latin-1")
    with pytest.raises(urllib.error.HTTPError):
        read(address.partition("?")[0])


def test_a_public_bucket_needs_no_credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address has no signature then."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert objects.signed("s3://models/o/a.gguf") == f"{store.address}/models/o/a.gguf"


def test_without_an_endpoint_it_is_amazon_s(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    parts = urlsplit(objects.signed("s3://models/a.gguf"))
    assert (parts.scheme, parts.netloc) == ("https", "s3.eu-west-1.amazonaws.com")
    assert "eu-west-1" in parts.query


def test_large_objects_are_written_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there when all parts are."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    size = 12 << 20
    objects.put("s3://models/big", iter([bytes(1 << 20)] * 12), size)
    assert objects.size_of("s3://models/big") == size
    parts = [call.query["partNumber"] for call in store.calls if call.method == "PUT"]
    assert sorted(parts) == ["1", "2", "3"]


def test_what_ends_the_blocks_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an object, nor parts of one, small or large; the error comes through."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)

    def blocks(n: int) -> Iterator[bytes]:
        yield from [bytes(1 << 20)] * n
        raise NetworkError("enough")

    for n in (1, 11):
        with pytest.raises(NetworkError, match="enough"):
            objects.put("s3://models/big", blocks(n), n << 20)
    assert objects.size_of("s3://models/big") is None
    assert store.unfinished() == 0


@pytest.mark.parametrize(
    ("variables", "url", "expected", "text"),
    [
        ({}, "s3://none/a", NotFound, "no bucket s3://none"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "s3://models/a", ResolveError, "denies access"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "s3://models/a", NetworkError, "error sending request"),
        ({"AWS_ENDPOINT_URL": "no address"}, "s3://models/a", UsageError, "AWS_ENDPOINT_URL"),
    ],
)
def test_errors_are_luci_s_own(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    url: str,
    expected: type[LuciError],
    text: str,
) -> None:
    """With what to do, and without the credentials."""
    from tests.bucket import SECRET

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "RETRIES", {"max_retries": 0})
    with pytest.raises(expected) as error:
        objects.put(url, iter([DATA]), len(DATA))
    assert text in error.value.message
    assert error.value.hint
    assert SECRET not in f"{error.value.message}{error.value.hint}"
    assert "Debug" not in error.value.message


@pytest.mark.parametrize(
    ("status", "code", "expected", "hint"),
    [
        (301, "PermanentRedirect", ResolveError, "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", ResolveError, "AWS_REGION"),
        (400, "ExpiredToken", ResolveError, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", ResolveError, "AWS_ACCESS_KEY_ID"),
        (404, "NoSuchKey", NotFound, "Check the address."),
        (501, "NotImplemented", NetworkError, "AWS_ENDPOINT_URL"),
    ],
)
def test_what_the_store_says_decides(status: int, code: str, expected: type[LuciError], hint: str) -> None:
    error = objects.refusal_in("s3://b/k", status, f"<Error><Code>{code}</Code><Message>So.</Message></Error>".encode())
    assert type(error) is expected
    assert "So." in error.message
    assert hint in error.hint


def test_without_credentials_the_message_says_where_they_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no role either."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(objects, "RETRIES", {"max_retries": 0})
    with pytest.raises(ResolveError, match="no credentials") as error:
        objects.signed("s3://models/a")
    assert "AWS_SECRET_ACCESS_KEY" in error.value.hint


def test_without_obstore_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With exit code 2."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "luci_dl.net.objects")
    with pytest.raises(UsageError, match="obstore") as error:
        import luci_dl.net.objects  # noqa: F401
    assert "luci-dl[s3]" in error.value.hint
