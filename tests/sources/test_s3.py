"""An address in a bucket becomes a model: the one that was pushed there, or the object itself."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.model import MANIFEST, Model
from luci_dl.net import objects
from luci_dl.net.network import Network
from luci_dl.sources.base import SOURCES, source_of
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.s3 import source
from luci_dl.sources.s3.manifest import entry_for, read_manifest
from luci_dl.sources.s3.place import parse_place, parse_prefix, place_of
from luci_dl.sources.s3.resolve import resolve_place
from luci_dl.sources.selection import FileSelection

if TYPE_CHECKING:
    from tests.bucket import Store

HEX = "ab" * 32
FILE = {"name": "o/m.gguf", "key": f"{HEX}/m.gguf", "size": 9, "sha256": HEX, "role": "model"}
SMALL = base64.b64encode(b"").decode()
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def manifest(**more: Any) -> bytes:
    return json.dumps({"v": 1, "reference": "m", "files": [FILE], **more}).encode()


def resolved(word: str, context: ResolveContext | None = None, **selection: Any) -> Model:
    return resolve_place(word, FileSelection(**selection), context or ResolveContext(retries=0))


def refused(word: str, context: ResolveContext | None = None) -> LuciError:
    with pytest.raises(LuciError) as error:
        resolved(word, context)
    assert error.value.hint
    return error.value


@pytest.mark.parametrize(
    ("word", "place", "digest"),
    [
        ("s3://models/m", "s3://models/m", None),
        ("S3://models/o/m.gguf/", "s3://models/o/m.gguf", None),
        (f"s3://models/m.gguf#sha256={HEX.upper()}", "s3://models/m.gguf", HEX),
        ("s3://models/a b@%20.gguf", "s3://models/a b@%20.gguf", None),
    ],
)
def test_a_place_has_one_form(word: str, place: str, digest: str | None) -> None:
    assert parse_place(word) == (place, digest)
    assert source.canonical(word, Endpoints()) == place
    assert source_of(word) is source
    assert source in SOURCES


@pytest.mark.parametrize(
    "word",
    [
        *("s3://", "s3://models", "s3://models/", "s3:///m", "s3://m/x", "s3://KEY:secret@models/m"),
        *(
            "s3://models//m",
            "s3://models/a/../m",
            "s3://models/./m",
            "s3://models/m?versionId=secret",
            "s3://models/m#x",
        ),
        *("s3://models/a\\b", "s3://models/a\nb", f"s3://models/{'x' * 1025}", "s3://models/m#sha256=12"),
    ],
)
def test_what_is_no_place_is_refused(word: str) -> None:
    """Without a secret in the message."""
    with pytest.raises(UsageError) as error:
        parse_place(word)
    assert "secret" not in error.value.message
    assert error.value.message.isprintable()
    assert len(error.value.message) < 500


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("llama3.2", "llama3.2"),
        ("hf:o/r:Q4_K_M", "hf-o/r-Q4_K_M"),
        ("ollama:qwen3:0.6b", "ollama-qwen3-0.6b"),
        ("https://h/x/m.gguf?...123456", "m.gguf-...123456"),
        ("s3://b/p/llama3.2", "llama3.2"),
        ("o/.hidden/..", "o/hidden/model"),
    ],
)
def test_every_reference_has_a_place(reference: str, place: str) -> None:
    """Which can be typed, and parsed."""
    made = place_of(reference, parse_prefix("s3://models/lab/"))
    assert made == f"s3://models/lab/{place}"
    assert parse_place(made) == (made, None)


def test_a_digest_is_enough(store: Store) -> None:
    """Nothing is asked then."""
    model = resolved(f"s3://models/o/m.gguf#sha256={HEX}")
    (file,) = model.artifacts
    assert (model.reference, file.name, file.urls, file.sha256) == (
        "s3://models/o/m.gguf",
        "m.gguf",
        ("s3://models/o/m.gguf",),
        HEX,
    )
    assert not store.calls


def test_a_manifest_says_which_files_there_are(store: Store) -> None:
    """With names, sizes, digests and roles, and the small files that are kept with them."""
    projector = FILE | {"name": "o/mmproj.gguf", "role": "projector"}
    store.put("lab/m/luci.json", manifest(files=[FILE, projector], kept={EMPTY: SMALL, MANIFEST: "e30="}))
    model = resolved("s3://models/lab/m")
    assert [(file.name, file.urls, file.size, file.sha256, file.role) for file in model.artifacts] == [
        (name, (f"s3://models/lab/m/{HEX}/m.gguf",), 9, HEX, role)
        for name, role in (("o/m.gguf", "model"), ("o/mmproj.gguf", "projector"))
    ]
    assert model.kept == {EMPTY: SMALL, MANIFEST: "e30="}
    assert model.reference == "s3://models/lab/m"


def test_without_a_manifest_it_is_the_object_itself(store: Store) -> None:
    """Without a digest; it must be there. Who may not list the bucket is denied what is not there."""
    store.put("o/m.gguf", b"GGUF")
    for code in (None, "AccessDenied"):
        store.refuse = lambda call, code=code: code if call.path.endswith("luci.json") else None  # type: ignore[misc]
        (file,) = resolved("s3://models/o/m.gguf").artifacts
        assert (file.name, file.sha256) == ("m.gguf", None)
        assert isinstance(refused("s3://models/o/none.gguf"), NotFound)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_refused_credentials_are_no_missing_manifest(store: Store, code: str) -> None:
    store.refuse = lambda _call: code
    error = refused("s3://models/o/m.gguf")
    assert type(error) is ResolveError
    assert "denies access" in error.message
    assert len(store.calls) == 1


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationQueryParametersError"])
def test_a_bucket_in_another_region_is_said(store: Store, code: str) -> None:
    """S3 redirects without saying where to. With a digest the file itself is refused so."""
    store.refuse = lambda _call: code
    assert "AWS_REGION" in refused("s3://models/m").hint
    with pytest.raises(ResolveError) as error:
        ResolveContext(retries=0).suggested_names(resolved(f"s3://models/m#sha256={HEX}").artifacts[0])
    assert "AWS_REGION" in error.value.hint


def test_a_missing_bucket_is_said(store: Store) -> None:
    assert "no bucket s3://none" in refused("s3://none/m").message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        manifest(v=2),
        manifest(files=[]),
        manifest(files=[FILE, FILE]),
        manifest(files={}),
        manifest(files=[FILE | {"name": "../m.gguf"}]),
        manifest(files=[FILE | {"name": "/m.gguf"}]),
        manifest(files=[FILE | {"name": ".luci/m.lock"}]),
        manifest(files=[FILE | {"key": "../other/m.gguf"}]),
        manifest(files=[FILE | {"key": "m?versionId=1"}]),
        manifest(files=[FILE | {"key": ""}]),
        manifest(files=[FILE | {"size": -1}]),
        manifest(files=[FILE | {"size": True}]),
        manifest(files=[FILE | {"size": 10**30}]),
        manifest(files=[FILE | {"sha256": "ab"}]),
        manifest(files=[FILE | {"role": "program"}]),
        manifest(reference=1),
        manifest(kept={EMPTY: "eA=="}),
        manifest(kept={"other": SMALL}),
        manifest(kept={EMPTY: "???"}),
        manifest(kept={MANIFEST: "A" * (9 << 20)}),
        manifest(kept=[]),
    ],
)
def test_a_manifest_is_not_believed(body: bytes) -> None:
    """What could leave the folders, or cannot be, is refused with a short message."""
    with pytest.raises(ResolveError) as error:
        read_manifest(body, "s3://models/m/luci.json")
    assert error.value.message.startswith("s3://models/m/luci.json")
    assert error.value.message.isprintable()
    assert len(error.value.message) < 500
    assert error.value.hint


def test_the_key_of_a_file_can_be_typed() -> None:
    """Whatever its name."""
    assert entry_for("o/a b?#ü.gguf", 1, HEX, "model").key == f"{HEX}/a-b-.gguf"


def test_plain_http_is_refused_without_a_digest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for hosts that the user trusts; nothing is asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example:9000")
    error = refused("s3://models/m")
    assert isinstance(error, UsageError)
    assert "AWS_ENDPOINT_URL" in error.message
    assert resolved(f"s3://models/m#sha256={HEX}").artifacts
    trusting = ResolveContext(Network(timeout=0.1), Endpoints(http_hosts=("store.example",)), retries=0)
    monkeypatch.setenv("http_proxy", store.address)  # which knows no such bucket path
    assert not isinstance(refused("s3://models/m", trusting), UsageError)


def test_offline_only_what_is_installed_is_known(store: Store) -> None:
    there = Model("s3://models/m", resolved(f"s3://models/m#sha256={HEX}").artifacts)
    offline = ResolveContext(Network(offline=True), installed={"s3://models/m": there}.get)
    assert resolved("s3://models/m", offline) is there
    assert isinstance(refused("s3://models/other", offline), NetworkError)
    assert not store.calls


def test_the_signature_is_in_no_message(store: Store) -> None:
    """Neither of an error, nor of a request that is shown."""
    shown: list[object] = []
    context = ResolveContext(Network(log=shown.append), retries=0)
    store.refuse = lambda _call: "AccessDenied"
    error = refused("s3://models/m", context)
    assert len(shown) == 2
    secret = objects.signed("s3://models/m").rpartition("Signature=")[2]
    assert not any(text in f"{error.message}{shown}" for text in (secret, "X-Amz-", "AKID"))
