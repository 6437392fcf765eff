"""hf:OWNER/REPO:fit and the quantisations of a repository, against a Hub."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luci_dl.errors import ResolveError
from luci_dl.events import Chosen, Event, Warned
from luci_dl.machine.fit import REST, Machine, Verdict
from luci_dl.machine.graphics import Graphics
from luci_dl.machine.memory import Memory
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.huggingface import fitting
from luci_dl.sources.huggingface.hub import list_files
from luci_dl.sources.huggingface.resolve import resolve_reference
from luci_dl.sources.selection import FileSelection
from tests.formats.files import V3
from tests.servers.hub import Hub

HEADER = V3.file(
    [V3.string("general.architecture", "llama")]
    + [V3.u32(f"llama.{key}", value) for key, value in {"block_count": 1, "embedding_length": 1}.items()]
    + [V3.u32("llama.attention.head_count", 1)]
)
CACHE = 2 * 2 * 8192
SIZES = {"Q2_K": 20, "IQ3_XS": 30, "Q4_K_M": 40, "UD-Q4_K_XL": 50, "Q8_0": 80, "BF16": 160}
EYE = 10_000

Fake = Callable[..., None]


def gguf(size: int) -> bytes:
    return HEADER + bytes(size - len(HEADER))


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def context(hub: Hub, events: list[Event]) -> ResolveContext:
    """A repository with a projector, and with files that are no models of their own."""
    files = {f"m-{label}.gguf": gguf(size * 1000) for label, size in SIZES.items()}
    beside = {"mtp-m-Q8_0.gguf": gguf(90_000), "dflash-m.gguf": gguf(90_000), "imatrix.gguf": gguf(1000)}
    hub.add("me/m", files | beside | {"mmproj-F16.gguf": gguf(EYE), "README.md": b"x"})
    return ResolveContext(endpoints=Endpoints(hub.endpoint), retries=0, emit=events.append)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Gives luci a machine that holds models of so many thousand bytes, and their projector and cache."""

    def fake(memory: int | None, card: int | None = None) -> None:
        sizes = [None if size is None else Memory(size * 1000 + EYE + CACHE + REST) for size in (memory, card)]
        found = Machine(sizes[0], Graphics(1, sizes[1]) if sizes[1] else None)
        monkeypatch.setattr(fitting, "this_machine", lambda: found)

    return fake


def chosen(context: ResolveContext, word: str = "hf:me/m:fit") -> str:
    return resolve_reference(word, FileSelection(), context).reference


@pytest.mark.parametrize(
    ("memory", "card", "label", "verdict"),
    [
        (160, None, "BF16", "fits memory"),
        (79, None, "UD-Q4_K_XL", "fits memory"),
        (49, None, "Q4_K_M", "fits memory"),
        (160, 40, "Q4_K_M", "fits the card"),
        (160, 39, "IQ3_XS", "fits the card"),
        (30, None, "IQ3_XS", "fits memory"),
    ],
)
def test_the_largest_that_fits_the_card_is_taken_else_the_largest_that_fits_memory(
    memory: int, card: int | None, label: str, verdict: str, context: ResolveContext, machine: Fake, events: list[Event]
) -> None:
    """It becomes the reference; the receipt remembers what was asked. Its projector is taken, and counts."""
    machine(memory, card)
    model = resolve_reference("hf:me/m:fit", FileSelection(), context)
    assert model.reference == f"hf:me/m:{label}"
    assert [file.name for file in model.artifacts] == [f"me/m/m-{label}.gguf", "me/m/mmproj-F16.gguf"]
    assert model.asked == {"word": "hf:me/m:fit"}
    (event,) = events
    assert isinstance(event, Chosen)
    assert (event.reference, event.chosen, event.verdict) == ("hf:me/m:fit", model.reference, verdict)
    assert event.size == SIZES[label] * 1000 + EYE


def test_a_poor_quantisation_is_better_split_than_another_on_the_card(context: ResolveContext, machine: Fake) -> None:
    """Quality comes first: what only fits partly has three bits or more."""
    machine(160, 29)
    assert chosen(context, "hf:me/m:FIT") == "hf:me/m:BF16"


def test_below_three_bits_is_taken_only_with_a_warning(
    context: ResolveContext, machine: Fake, events: list[Event]
) -> None:
    machine(29)
    assert chosen(context) == "hf:me/m:Q2_K"
    assert "nothing above Q2_K fits" in next(event.message for event in events if isinstance(event, Warned))


def test_where_none_fits_none_is_chosen(context: ResolveContext, machine: Fake) -> None:
    """Nor where the memory is unknown; the message says what the smallest takes."""
    machine(19)
    with pytest.raises(ResolveError) as caught:
        chosen(context)
    assert "none of the 6 models of hf:me/m fits this machine: the smallest is Q2_K, it takes" in str(caught.value)
    assert caught.value.hint.endswith("luci install hf:me/m:Q2_K")
    machine(None)
    with pytest.raises(ResolveError, match="the memory of this machine is unknown"):
        chosen(context)


def test_shards_count_together_and_a_set_with_a_gap_does_not_count(
    hub: Hub, context: ResolveContext, machine: Fake
) -> None:
    """A model whose name has no quantisation is chosen by its file."""
    whole = {f"big-Q8_0-0000{number}-of-00002.gguf": gguf(30_000) for number in (1, 2)}
    gap = {"big-BF16-00001-of-00002.gguf": gguf(1000)}
    hub.add("me/m", {**whole, **gap, "sub/plain.gguf": gguf(50_000)})
    machine(60)
    assert chosen(context) == "hf:me/m:Q8_0"
    machine(45)
    assert chosen(context) == "hf:me/m/sub/plain.gguf"


def test_each_is_listed_with_its_size_and_what_it_takes(hub: Hub, context: ResolveContext, machine: Fake) -> None:
    """The smallest first; the cache is read from the first bytes of one file, in one request."""
    machine(160, 50)
    before = len(hub.seen("store"))
    found = fitting.quantisations(list_files(context, "me/m"), context, tokens=4096)
    assert [each.label for each in found] == list(SIZES)
    assert [each.word for each in found if each.is_default] == [":Q4_K_M"]
    assert {each.fit.cache for each in found} == {CACHE // 2}
    assert [each.fit.verdict for each in found] == [Verdict.CARD] * 4 + [Verdict.PART] * 2
    (asked,) = hub.seen("store")[before:]
    assert asked.headers["range"] == "bytes=0-19999"


def test_a_header_that_cannot_be_read_leaves_the_cache_unknown(
    hub: Hub, context: ResolveContext, machine: Fake, events: list[Event]
) -> None:
    """Bytes that are no header do so silently; a refusal is mentioned."""
    machine(1000)
    hub.add("me/m", {"m-Q8_0.gguf": b"GGUF" + bytes(3000)})
    (found,) = fitting.quantisations(list_files(context, "me/m"), context)
    assert (found.fit.cache, found.fit.verdict, events) == (None, Verdict.MEMORY, [])
    hub.uses = 0
    (found,) = fitting.quantisations(list_files(context, "me/m"), context)
    assert found.fit.cache is None
    assert isinstance(events[-1], Warned)


def test_a_repository_without_gguf_has_nothing_to_fit(hub: Hub, context: ResolveContext, machine: Fake) -> None:
    machine(1000)
    hub.add("me/m", {"model.safetensors": bytes(3000)})
    with pytest.raises(ResolveError, match="hf:me/m has no GGUF file"):
        chosen(context)
