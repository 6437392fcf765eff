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
    "ssm.conv_kernel",
    "ssm.group_count",
    "ssm.inner_size",
    "ssm.state_size",
}
"""What is needed, each after the architecture and a dot."""

MAX_LAYERS = 4096
_BYTES = 2  # of a number in the cache
_STATE_BYTES = 4  # of a number in the state of a recurrent layer
_BATCH = 512  # tokens that are kept besides a sliding window
_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Every so many layers, the last one has attention; the others are recurrent."""
_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "cohere2": 4}
"""Every so many layers, the last one keeps all tokens; the others only those in the sliding window."""


@frozen
class Layer:
    """What one layer keeps. `numbers`: for each token; `window`: tokens at most, None for all."""

    numbers: int
    window: int | None = None


@frozen
class Cache:
    """What a model keeps of earlier tokens. `state`: bytes of its recurrent layers, however many tokens there are."""

    layers: tuple[Layer, ...]
    state: int = 0

    def size(self, context: int) -> int:
        """Bytes for so many tokens."""
        of_tokens = sum(layer.numbers * _BYTES * min(context, layer.window or context) for layer in self.layers)
        return of_tokens + self.state


def cache_of(architecture: str | None, values: Mapping[str, Value]) -> Cache | None:
    """The cache by the values of the header, keyed without the architecture; None if they do not determine it."""
    facts = _Facts(values)
    if values.get("attention.causal") == 0:
        return Cache(())
    count, heads = facts.number("block_count"), facts.number("attention.head_count")
    if count is None or count > MAX_LAYERS:
        return None
    count -= facts.number("nextn_predict_layers") or 0
    interval = facts.number("full_attention_interval") or _INTERVALS.get(architecture or "", 1)
    kv_heads = facts.per_layer("attention.head_count_kv", count, heads)
    if kv_heads is None and not facts.state:
        return None
    has_attention = [bool(kv_heads and kv_heads[at]) and (at + 1) % interval == 0 for at in range(count)]
    layers = _layers(architecture, facts, kv_heads or (), has_attention)
    return None if layers is None else Cache(tuple(layers), facts.state * has_attention.count(False))


def _layers(
    architecture: str | None, facts: _Facts, kv_heads: Sequence[int], has_attention: Sequence[bool]
) -> list[Layer] | None:
    """Those with attention that have a cache of their own: the last ones may use that of others."""
    heads, count = facts.number("attention.head_count"), len(has_attention)
    width = (facts.number("embedding_length") or 0) // heads if heads else None
    key, value = facts.number("attention.key_length") or width, facts.number("attention.value_length") or width
    own = [at for at in range(count - (facts.number("attention.shared_kv_layers") or 0)) if has_attention[at]]
    if rank := facts.number("attention.kv_lora_rank"):  # multi-head latent attention: one compressed row
        return [Layer(rank + (facts.number("rope.dimension_count") or 0)) for _ in own]
    if own and not (key and value):
        return None
    key, value = key or 0, value or 0
    small = (facts.number("attention.key_length_swa") or key) + (facts.number("attention.value_length_swa") or value)
    window = facts.number("attention.sliding_window")
    kept = -(-(window + _BATCH) // 256) * 256 if window else None
    windowed = _windowed(architecture, facts, count) if kept else (False,) * count
    return [Layer(kv_heads[at] * small, kept) if windowed[at] else Layer(kv_heads[at] * (key + value)) for at in own]


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

    @property
    def state(self) -> int:
        """Bytes of the state of one recurrent layer: the last inputs of its convolution, and what it remembers."""
        size, inner = self.number("ssm.state_size") or 0, self.number("ssm.inner_size") or 0
        inputs = inner + 2 * (self.number("ssm.group_count") or 0) * size
        kept = max(0, (self.number("ssm.conv_kernel") or 0) - 1)
        return (kept * inputs + size * inner) * _STATE_BYTES if size else 0

    def per_layer(self, key: str, count: int, default: int | None) -> Sequence[int] | None:
        """One number for each layer, whether the header has one for all or an array."""
        value = self.values.get(key)
        if isinstance(value, tuple):
            return [int(each) for each in value][:count] if len(value) >= count else None
        number = self.number(key) if key in self.values else default
        return None if number is None else [number] * count
