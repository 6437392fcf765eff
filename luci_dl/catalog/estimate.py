"""About how large a model is, where no size is known: by the parameters and the quantisation that its name states.

For lists alone: nothing is claimed or proved by it.
"""

from __future__ import annotations

import re
from itertools import chain

from luci_dl.model import Artifact, Model

_BITS = {
    "q8_k_xl": 10.0, "q8_0": 8.5, "q6_k": 6.6, "q5_k_m": 5.7, "q5_0": 5.5, "q4_k_xl": 4.9, "q4_k_m": 4.85,
    "q4_k_s": 4.6, "q4_0": 4.6, "mxfp4": 4.4, "q3_k_l": 4.3, "q3_k_m": 3.9, "q3_k_s": 3.5,
    "q2_k": 3.0, "bf16": 16.0, "f16": 16.0,
    "f32": 32.0,
}  # fmt: skip
"""Bits a weight, with what tables and embeddings take on the average."""
_PARAMETERS = re.compile(r"(?<![a-z0-9.])(e?)([0-9]+(?:\.[0-9]+)?)([bm])(?![a-z0-9]|-[0-9]+e)", re.IGNORECASE)
_PROJECTOR = {"f32": 1_800_000_000, "f16": 900_000_000, "bf16": 900_000_000, "q8_0": 500_000_000}
"""Bytes of a usual projector."""


def about(model: Model) -> int | None:
    """Bytes of all its files, roughly; None if its name does not say enough."""
    if model.size is not None:
        return model.size
    first = next((each for each in model.artifacts if each.role == "model"), model.artifacts[0])
    texts = [first.name.rpartition("/")[2], model.reference, *model.aliases, *first.urls]
    parameters = next(chain.from_iterable(map(_parameters, texts)), None)
    bits = _quantised(first, _BITS)
    if parameters is None or bits is None:
        return None
    beside = sum(_quantised(each, _PROJECTOR) or 0 for each in model.artifacts if each.role == "projector")
    return int(parameters * bits / 8) + int(beside)


def _parameters(text: str) -> list[float]:
    """The numbers of parameters that a text states; of a mixture of experts the first is the whole.

    E4B are four billion effective ones, of about twice as many.
    """
    found = _PARAMETERS.finditer(text)
    return [
        float(number) * (2 if e else 1) * (1e9 if unit in "bB" else 1e6)
        for e, number, unit in (each.groups() for each in found)
    ]


def _quantised(artifact: Artifact, table: dict[str, float] | dict[str, int]) -> float | None:
    name = artifact.name.casefold()
    return next((value for quant, value in table.items() if quant in name), None)
