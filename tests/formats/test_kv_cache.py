"""How large the KV cache is, by the header; the numbers of real models are llama.cpp's own (llama-fit-params)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from luci_dl.formats.gguf import cache_in, parse
from luci_dl.formats.kv_cache import Cache, Value, cache_of
from tests.formats.files import ARRAY, U32, V3, reading

MIB = 1 << 20
LLAMA: dict[str, Value] = {"block_count": 32, "embedding_length": 4096, "attention.head_count": 32}
HEADS: dict[str, Value] = LLAMA | {"attention.head_count_kv": 8}
GEMMA3_270M: dict[str, Value] = {
    "block_count": 18,
    "embedding_length": 640,
    "attention.head_count": 4,
    "attention.head_count_kv": 1,
    "attention.key_length": 256,
    "attention.value_length": 256,
    "attention.sliding_window": 512,
}
GPT_OSS: dict[str, Value] = {
    "block_count": 24,
    "embedding_length": 2880,
    "attention.head_count": 64,
    "attention.head_count_kv": 8,
    "attention.key_length": 64,
    "attention.value_length": 64,
    "attention.sliding_window": 128,
}
SSM: dict[str, Value] = {"ssm.conv_kernel": 4, "ssm.inner_size": 4096, "ssm.group_count": 16, "ssm.state_size": 128}
STATE = 4 * (4096 * 128 + 3 * (4096 + 2 * 16 * 128))
PER_LAYER: dict[str, Value] = HEADS | {"block_count": 4, "attention.head_count_kv": (0, 8, 0, 8)}
LATENT: dict[str, Value] = {
    "block_count": 61,
    "attention.head_count": 128,
    "attention.head_count_kv": 1,
    "attention.key_length": 576,
    "attention.value_length": 512,
    "attention.kv_lora_rank": 512,
    "rope.dimension_count": 64,
}


def mib(architecture: str, values: Mapping[str, Value], context: int = 8192) -> float:
    found = cache_of(architecture, values)
    assert found is not None
    return found.size(context) / MIB


@pytest.mark.parametrize(
    ("architecture", "values", "expected"),
    [
        ("llama", LLAMA, 4096),
        ("llama", HEADS, 1024),
        ("llama", HEADS | {"attention.key_length": 256}, 1536),
        ("llama", HEADS | {"nextn_predict_layers": 1}, 992),
        ("gemma3", GEMMA3_270M, 39),
        ("gemma3", GEMMA3_270M | {"attention.sliding_window_pattern": 2}, 81),
        ("gemma4", GEMMA3_270M | {"attention.sliding_window_pattern": (1,) * 17 + (0,)}, 25),
        ("gemma3n", GEMMA3_270M | {"attention.shared_kv_layers": 3}, 36),
        ("gpt-oss", GPT_OSS, 210),
        ("unheard-of", GEMMA3_270M, 144),
        ("qwen35", HEADS, 256),
        ("any", HEADS | {"full_attention_interval": 2}, 512),
        ("lfm2", PER_LAYER, 64),
        ("deepseek2", LATENT, 549),
    ],
)
def test_the_cache_holds_keys_and_values_of_each_layer_and_token(
    architecture: str, values: Mapping[str, Value], expected: float
) -> None:
    """Fewer tokens behind a sliding window, fewer layers where some have no attention or use the cache of others."""
    assert mib(architecture, values) == expected


def grouped(layers: int, heads: int, width: int, **more: Value) -> dict[str, Value]:
    """Values of a model with `heads` pairs of keys and values of that width in each layer."""
    numbers = {"head_count": 8, "head_count_kv": heads, "key_length": width, "value_length": width, **more}
    return {"block_count": layers, **{f"attention.{key}": value for key, value in numbers.items()}}


@pytest.mark.parametrize(
    ("architecture", "values", "expected"),
    [
        ("llama", grouped(32, 2, 64), (32, 128, 512)),
        ("qwen3", grouped(36, 4, 128), (144, 576, 2304)),
        ("gemma2", grouped(26, 4, 128, sliding_window=4096), (104, 325, 949)),
        ("gemma3", grouped(34, 4, 128, sliding_window=1024), (107, 167, 407)),
        ("gemma3", GEMMA3_270M, (21, 39, 111)),
        ("cohere2", grouped(32, 4, 128, sliding_window=4096), (128, 344, 728)),
        ("gpt-oss", GPT_OSS, (66, 210, 786)),
        ("deepseek2", LATENT | {"block_count": 4, "attention.kv_lora_rank": 128}, (3, 12, 48)),
        (
            "gemma4",
            grouped(
                12,
                2,
                256,
                head_count_kv=(2, 2, 2, 2, 2, 1) * 2,
                key_length_swa=128,
                value_length_swa=128,
                sliding_window=1024,
                sliding_window_pattern=(1, 1, 1, 1, 1, 0) * 2,
            ),
            (19, 31, 79),
        ),
    ],
)
def test_it_is_what_llama_cpp_takes(
    architecture: str, values: Mapping[str, Value], expected: tuple[int, int, int]
) -> None:
    """With 2048, 8192 and 32768 tokens, as its llama-fit-params prints it for a file with this header, in MiB."""
    assert tuple(mib(architecture, values, context) for context in (2048, 8192, 32768)) == expected


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"block_count": 1 << 40} | {key: HEADS[key] for key in HEADS if key != "block_count"},
        {key: HEADS[key] for key in HEADS if key != "embedding_length"},
        PER_LAYER | {"block_count": 5},
        HEADS | {"block_count": "many"},
        HEADS | {"attention.head_count": 0, "attention.key_length": 0},
    ],
)
def test_what_the_header_does_not_determine_is_unknown(values: Mapping[str, Value]) -> None:
    """Absurd values among it: none of them fails, or takes long."""
    assert cache_of("llama", values) is None


def test_recurrent_layers_have_a_state_of_fixed_size() -> None:
    """Those without attention; with none at all, that is the whole cache."""
    for architecture, values, layers in (
        ("qwen35", HEADS | SSM, 24),
        ("jamba", PER_LAYER | SSM, 2),
        ("mamba", {"block_count": 64} | SSM, 64),
    ):
        found = cache_of(architecture, values)
        assert found is not None
        assert found.state == layers * STATE
        assert found.size(8192) - found.size(4096) == sum(layer.numbers for layer in found.layers) * 2 * 4096


def test_a_model_that_makes_no_text_keeps_nothing() -> None:
    assert cache_of("bert", LLAMA | {"attention.causal": 0}) == Cache(())


def header(*more: bytes) -> bytes:
    numbers = {key: value for key, value in HEADS.items() if isinstance(value, int)}
    values = [V3.string("general.architecture", "llama"), *(V3.u32(f"llama.{key}", numbers[key]) for key in numbers)]
    return V3.file([*values, *more])


def test_the_first_bytes_of_a_file_are_enough() -> None:
    """The vocabulary may be cut off; the whole header gives the same."""
    data = header(V3.strings("tokenizer.ggml.tokens", ["word"] * 1000))
    whole = parse(reading(data), len(data)).cache
    assert whole == cache_of("llama", HEADS)
    assert cache_in(data[:1000]) == whole


def test_an_array_of_numbers_for_each_layer_is_read() -> None:
    heads = V3.text("llama.attention.head_count_kv") + V3.number("I", ARRAY) + V3.number("I", U32) + V3.length(32)
    data = header(heads + b"".join(V3.number("I", at % 2 * 8) for at in range(32)))
    found = cache_in(data)
    assert found is not None
    assert (len(found.layers), found.size(8192)) == (16, 512 * MIB)


@pytest.mark.parametrize("data", [b"", b"GGUF", b"<html>", b"GGUF\x03\0\0\0" + b"\xff" * 100, header()[:100]])
def test_bytes_that_are_no_header_say_nothing(data: bytes) -> None:
    assert cache_in(data) is None
