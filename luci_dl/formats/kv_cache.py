"""How large the KV cache of a model is, by the header of its GGUF file. Source: llama-hparams and llama-kv-cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luci_dl.frozen import frozen

Value = str | int | float | tuple[int | float, ...]

KEYS = {
    "block_count",
    "nextn_predict_layers",
    "embedding_length",
    "full_attention_interval",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "attention.kv_lora_rank",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.shared_kv_layers",
    "attention.causal",
    "rope.dimension_count",
    "ssm.state_size",
}
"""What is needed, each after the architecture and a dot."""

MAX_LAYERS = 4096
_BYTES = 2  # of a number in the cache
_BATCH = 512  # tokens that are kept besides a sliding window
_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "cohere2": 4}
"""Every so many layers, the last one keeps all tokens; the others only those in the sliding window."""


@frozen
class Layer:
    """What one layer keeps. `numbers`: for each token; `window`: tokens at most, None for all."""

    numbers: int
    window: int | None = None


@frozen
class Cache:
    """What a model keeps of each token. `recurrent`: it also has layers with a state of fixed size."""

    layers: tuple[Layer, ...]
    recurrent: bool = False

    def size(self, context: int) -> int:
        """Bytes for so many tokens."""
        return sum(layer.numbers * _BYTES * min(context, layer.window or context) for layer in self.layers)


def cache_of(architecture: str | None, values: Mapping[str, Value]) -> Cache | None:
    """The cache by the values of the header, keyed without the architecture; None if they do not determine it."""
    facts = _Facts(values)
    count, heads = facts.number("block_count"), facts.number("attention.head_count")
    recurrent = "ssm.state_size" in values
    if values.get("attention.causal") == 0:
        return Cache(())
    if count is None or count > MAX_LAYERS:
        return None
    count -= facts.number("nextn_predict_layers") or 0
    kv_heads = facts.per_layer("attention.head_count_kv", count, heads)
    width = (facts.number("embedding_length") or 0) // heads if heads else None
    key, value = facts.number("attention.key_length") or width, facts.number("attention.value_length") or width
    if kv_heads is None or not key or not value:
        return Cache((), recurrent) if recurrent and heads in (None, 0) else None
    if rank := facts.number("attention.kv_lora_rank"):  # multi-head latent attention: one compressed row
        return Cache((Layer(rank + (facts.number("rope.dimension_count") or 0)),) * count, recurrent)
    small = (facts.number("attention.key_length_swa") or key) + (facts.number("attention.value_length_swa") or value)
    window = facts.number("attention.sliding_window")
    kept = None if not window else -(-(window + _BATCH) // 256) * 256
    windowed = _windowed(architecture, facts, count) if kept else (False,) * count
    own = count - (facts.number("attention.shared_kv_layers") or 0)  # the last ones use the cache of others
    interval = facts.number("full_attention_interval") or 1
    layers = [
        Layer(kv_heads[at] * (small if windowed[at] else key + value), kept if windowed[at] else None)
        for at in range(own)
        if (at + 1) % interval == 0
    ]
    return Cache(tuple(layer for layer in layers if layer.numbers), recurrent)


def _windowed(architecture: str | None, facts: _Facts, count: int) -> Sequence[bool]:
    """Which layers keep only a sliding window; none, where llama.cpp is not known to use it."""
    pattern = facts.values.get("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        return [bool(each) for each in (*pattern, *(0,) * count)][:count]
    period = facts.number("attention.sliding_window_pattern") or _PERIODS.get(architecture or "", 1)
    return [at % period < period - 1 for at in range(count)]


@frozen
class _Facts:
    values: Mapping[str, Value]

    def number(self, key: str) -> int | None:
        """A whole number that is not negative."""
        value = self.values.get(key)
        return value if isinstance(value, int) and value >= 0 else None

    def per_layer(self, key: str, count: int, default: int | None) -> Sequence[int] | None:
        """One number for each layer, whether the header has one for all or an array."""
        value = self.values.get(key)
        if isinstance(value, tuple):
            return [int(each) for each in value][:count] if len(value) >= count else None
        number = self.number(key) if key in self.values else default
        return None if number is None else [number] * count
