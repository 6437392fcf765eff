"""A reference to a registry becomes a model, or an error that says why not and what to do."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence

import pytest

from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.events import Event, Warned
from luci_dl.model import Artifact, Model
from luci_dl.net.document import Document
from luci_dl.net.network import Network
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.ollama.resolve import resolve_name
from luci_dl.sources.selection import FileSelection
from tests.servers import faults
from tests.servers.registry import ADAPTER, MODEL, PROJECTOR, TEMPLATE, Registry, digest_of, layer, manifest

DATA, OTHER = b"GGUF one", b"GGUF another one"
GOOD = layer(MODEL, DATA)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as registry:
        registry.push("library/m", "latest", (MODEL, DATA), (TEMPLATE, b"{{ .Prompt }}"))
        registry.push("library/m", "1b", (MODEL, OTHER))
        yield registry


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def context(registry: Registry, events: list[Event]) -> ResolveContext:
    """With that registry as the default one."""
    return ResolveContext(endpoints=Endpoints(ollama=registry.address), emit=events.append, retries=0)


def refused(context: ResolveContext, word: str = "ollama:m", selection: FileSelection | None = None) -> LuciError:
    with pytest.raises(LuciError) as error:
        resolve_name(word, selection or FileSelection(), context)
    assert error.value.message.isprintable()
    assert len(error.value.message) < 500
    assert error.value.hint
    return error.value


def test_the_model_layer_is_the_file(registry: Registry, context: ResolveContext) -> None:
    """With digest and size from the manifest; the template is in the file anyway."""
    model = resolve_name("ollama:m", FileSelection(), context)
    where = f"{registry.address}/v2/library/m"
    url = f"{where}/blobs/{digest_of(DATA)}"
    file = Artifact("m-latest.gguf", (url,), len(DATA), digest_of(DATA)[7:], repository=where, access="public")
    assert (model.reference, model.artifacts) == ("ollama:m:latest", (file,))
    assert [each.sha256 for each in model.companions] == [digest_of(data)[7:] for data in (b"{{ .Prompt }}", b"{}")]


def test_the_projector_comes_along_unless_it_is_left_out(registry: Registry, context: ResolveContext) -> None:
    """Beside the model, which comes first."""
    registry.push("library/m", "vl", (PROJECTOR, OTHER), (MODEL, DATA))
    both = resolve_name("ollama:m:vl", FileSelection(), context).artifacts
    assert [(file.name, file.role) for file in both] == [("m-vl.gguf", "model"), ("m-vl.mmproj.gguf", "projector")]
    assert [file.sha256 for file in both] == [digest_of(data)[7:] for data in (DATA, OTHER)]
    (alone,) = resolve_name("ollama:m:vl", FileSelection(projector=False), context).artifacts
    assert alone == both[0]


def test_an_adapter_is_left_out_and_reported(registry: Registry, context: ResolveContext, events: list[Event]) -> None:
    """The model without it is not the one that was named."""
    registry.push("library/m", "lora", (MODEL, DATA), (ADAPTER, OTHER))
    assert len(resolve_name("ollama:m:lora", FileSelection(), context).artifacts) == 1
    assert [type(event) for event in events] == [Warned]


def test_oci_manifests_and_parameters_of_media_types_are_understood(
    registry: Registry, context: ResolveContext
) -> None:
    """Other tools than Ollama push them."""
    oci = "application/vnd.oci.image.manifest.v1+json"
    registry.put("library/m", "oci", manifest([GOOD | {"mediaType": f"{MODEL}; x=y"}], mediaType=oci))
    assert resolve_name("ollama:m:oci", FileSelection(), context).artifacts[0].sha256 == digest_of(DATA)[7:]


def test_a_host_in_the_name_is_asked_itself(registry: Registry) -> None:
    """Not the one that the environment names."""
    registry.push("team/m", "q4", (MODEL, DATA))
    context = ResolveContext(endpoints=Endpoints(ollama="http://127.0.0.1:9"), retries=0)
    model = resolve_name(f"ollama:{registry.host}/team/m:q4", FileSelection(), context)
    assert model.artifacts[0].name == f"{registry.host.replace(':', '+')}/team/m-q4.gguf"


# --- what does not exist


def test_a_missing_tag_is_reported_with_existing_ones(context: ResolveContext) -> None:
    """Similar ones first, then all."""
    assert "1b, latest." in refused(context, "ollama:m:1B").hint
    error = refused(context, "ollama:m:xyzzy")
    assert (error.exit_code, "latest, 1b." in error.hint) == (3, True)


def test_only_some_of_many_tags_are_shown(registry: Registry, context: ResolveContext) -> None:
    """Some models have hundreds, and a hostile registry may list more."""
    for number in range(1000):
        registry.put("library/m", f"q{number}", b"")
    assert "and 994 more" in refused(context, "ollama:m:q1001").hint


@pytest.mark.parametrize("tags", [b"", b"[]", b'{"tags": {"a": 1}}', b'{"tags": [1, [], "\\u001b[2J", "../x"]}'])
def test_an_invalid_list_of_tags_is_ignored(registry: Registry, context: ResolveContext, tags: bytes) -> None:
    """The message is the one for no list."""
    registry.on_tags = faults.status(200, body=tags)
    assert "no such model or tag" in refused(context, "ollama:m:xyzzy").message


def test_a_missing_model_is_distinguished_from_a_missing_tag(context: ResolveContext) -> None:
    """If the registry says so."""
    error = refused(context, "ollama:nosuch")
    assert (error.exit_code, "has no such model" in error.message) == (3, True)
    assert "tag" not in error.message


def test_without_a_list_of_tags_both_are_possible(registry: Registry, context: ResolveContext) -> None:
    """Ollama's own registry has none."""
    registry.on_tags = faults.status(404)
    assert "no such model or tag" in refused(context, "ollama:m:xyzzy").message


def test_a_private_model_is_reported_as_such(registry: Registry, context: ResolveContext) -> None:
    """luci cannot log in."""
    registry.private.add("library/m")
    error = refused(context)
    assert (error.exit_code, "requires an account" in error.message) == (3, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_of_the_hub_suggests_a_hub_reference(status: int) -> None:
    """It gives more detail about what the Hub has."""

    class Refusing(ResolveContext):
        def document(self, url: str, *_: object, **__: object) -> Document:
            return Document(url, status, {}, b"")

    assert "luci install hf:Owner/Repo-GGUF:Q4_K_M" in refused(Refusing(), "ollama:hf.co/Owner/Repo-GGUF:Q4_K_M").hint
    assert "luci install hf:Owner/Repo-GGUF" in refused(Refusing(), "ollama:hf.co/Owner/Repo-GGUF").hint


@pytest.mark.parametrize(
    ("status", "body", "code", "text"),
    [
        (412, b'{"errors": [{"message": "requires a\\nnewer version"}]}', 3, 'requires a newer version"'),
        (400, b'{"error": "sharded GGUF"}', 3, "sharded GGUF"),
        (418, b'{"error": "\\u001b[2Jgone"}', 3, '"gone"'),
        (400, b'{"errors": [[1]], "error": {"a": 1}}', 3, "(400)"),
        (400, b'{"error": "' + b"x " * 10_000 + b'"}', 3, "x x x"),
        (400, b"<html>", 4, "web page (400)"),
        (500, b"", 4, "500"),
        (501, b"[]", 4, "501"),
    ],
)
def test_other_refusals_quote_the_registry(
    registry: Registry, context: ResolveContext, status: int, body: bytes, code: int, text: str
) -> None:
    """In a form that is safe for a terminal."""
    registry.on_manifest = faults.status(status, body=body)
    error = refused(context)
    assert (error.exit_code, text in error.message) == (code, True)


# --- what is not believed

MANIFESTS = {
    "no object": b"[]",
    "no layers": b'{"schemaVersion": 2}',
    "layers no list": b'{"layers": {"a": 1}}',
    "layer no object": b'{"layers": [1]}',
    "layer a list": b'{"layers": [[[[]]]]}',
    "no media type": b'{"layers": [{"digest": "sha256:aa"}]}',
    "media type no text": b'{"layers": [{"mediaType": 1}]}',
    "old": b'{"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:aa"}]}',
    "an index": b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:aa"}]}',
    "no model": manifest([layer(TEMPLATE, DATA)]),
    "nothing": manifest([]),
    "null": b'{"schemaVersion": 2, "layers": null}',
    "tensors": manifest([layer("application/vnd.ollama.image.tensor", DATA)] * 3),
    "docker": manifest([layer("application/vnd.docker.image.rootfs.diff.tar.gzip", DATA)]),
    "escapes": manifest([layer("\x1b[2J" * 1000, DATA)]),
    "two models": manifest([GOOD, layer(MODEL, OTHER)]),
    "one model twice": manifest([GOOD, GOOD]),
    "many models": manifest([GOOD] * 10_000),
    "two projectors": manifest([GOOD, layer(PROJECTOR, OTHER), layer(PROJECTOR, b"x")]),
    "one file for both": manifest([GOOD, layer(PROJECTOR, DATA)]),
    "wrong projector": manifest([GOOD, layer(PROJECTOR, OTHER) | {"size": -1}]),
}
DIGESTS: Sequence[object] = [
    None,
    1,
    ["sha256:" + "a" * 64],
    "",
    "a" * 64,
    "sha256:",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 64 + "\n",
    "sha512:" + "a" * 64,
    "md5:" + "a" * 32,
    "sha256:../../../../etc/passwd",
    "sha256:" + "../" * 21 + "a",
    "sha256:" + "\N{FULLWIDTH DIGIT ONE}" * 64,
]
SIZES: Sequence[object] = [None, -1, 0, 1.5, 8.0, True, "8", [8], 1 << 60, 10**400, float("inf"), float("nan")]


@pytest.mark.parametrize("body", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_of_another_shape_is_refused(registry: Registry, context: ResolveContext, body: bytes) -> None:
    """The message says what it is instead, and what to do."""
    registry.put("library/m", "latest", body)
    assert isinstance(refused(context), ResolveError)


@pytest.mark.parametrize("layers", ["[]", "null"])
def test_a_model_without_layers_runs_elsewhere(registry: Registry, context: ResolveContext, layers: str) -> None:
    """Ollama's cloud models have none, in either form."""
    registry.put("library/m", "latest", f'{{"schemaVersion": 2, "layers": {layers}}}'.encode())
    assert "runs only on Ollama's servers" in refused(context).message


@pytest.mark.parametrize("digest", DIGESTS)
def test_a_digest_of_another_form_is_refused(registry: Registry, context: ResolveContext, digest: object) -> None:
    """It would end up in an address, and be the expected digest."""
    registry.put("library/m", "latest", manifest([GOOD | {"digest": digest}]))
    assert "64 hex digits" in refused(context).message


@pytest.mark.parametrize("size", SIZES)
def test_an_invalid_size_is_refused(registry: Registry, context: ResolveContext, size: object) -> None:
    """That much space would be claimed."""
    registry.put("library/m", "latest", manifest([GOOD | {"size": size}]))
    assert "expected bytes" in refused(context).message


@pytest.mark.parametrize(
    "body",
    [b"", b"GGUF", b'{"layers": ' + b"[" * 1_000_000, b'{"layers": [' + b'{"a":' * 500_000, b"9" * 10_000, b'"\xff"'],
    ids=["empty", "binary", "deep lists", "deep objects", "a long number", "not UTF-8"],
)
def test_a_response_that_is_not_json_is_a_network_error(
    registry: Registry, context: ResolveContext, body: bytes
) -> None:
    """It may be the page of a portal, and gone later."""
    registry.put("library/m", "latest", body)
    assert isinstance(refused(context), NetworkError)


@pytest.mark.parametrize("layers", [60_000, 1_000_000])
def test_a_million_layers_take_little_memory(registry: Registry, context: ResolveContext, layers: int) -> None:
    """A response above the size limit is not read."""
    body = b'{"layers":[' + b",".join([b'{"mediaType":"x","size":1}'] * layers) + b"]}"
    registry.put("library/m", "latest", body)
    tracemalloc.start()
    try:
        refused(context)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_several_projectors_do_not_matter_where_none_is_wanted(registry: Registry, context: ResolveContext) -> None:
    """As the hint says."""
    registry.put("library/m", "latest", MANIFESTS["two projectors"])
    assert "--no-projector" in refused(context).hint
    assert resolve_name("ollama:m", FileSelection(projector=False), context).artifacts[0].sha256 == digest_of(DATA)[7:]


# --- offline


def test_offline_nothing_is_asked(registry: Registry) -> None:
    """The installed model is the answer, otherwise the message names the server."""
    known = Model("ollama:m:latest", (Artifact("m-latest.gguf", ("",)),))
    context = ResolveContext(
        Network(offline=True), Endpoints(ollama=registry.address), installed={"ollama:m:latest": known}.get
    )
    assert resolve_name("ollama:library/m", FileSelection(), context) is known
    error = refused(context, "ollama:m:1b")
    assert (error.exit_code, registry.host in error.message) == (4, True)
    assert registry.front.exchanges() == []
