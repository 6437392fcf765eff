"""Model files, valid and not, byte by byte; and files that the formats' own writers made."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

U32, F32, STRING, ARRAY, U64 = 4, 6, 8, 9, 10
TENSOR_F32, TENSOR_Q4_K = 0, 12


@dataclass(frozen=True)
class Form:
    """How numbers are written."""

    version: int = 3
    order: str = "<"

    def number(self, letter: str, value: float) -> bytes:
        return struct.pack(self.order + letter, value)

    def length(self, value: int) -> bytes:
        return self.number("I" if self.version == 1 else "Q", value)

    def text(self, text: str) -> bytes:
        return self.length(len(text.encode())) + text.encode()

    def string(self, key: str, text: str) -> bytes:
        return self.text(key) + self.number("I", STRING) + self.text(text)

    def u32(self, key: str, value: int) -> bytes:
        return self.text(key) + self.number("I", U32) + self.number("I", value)

    def strings(self, key: str, texts: Sequence[str]) -> bytes:
        head = self.text(key) + self.number("I", ARRAY) + self.number("I", STRING) + self.length(len(texts))
        return head + b"".join(map(self.text, texts))

    def floats(self, key: str, count: int) -> bytes:
        head = self.text(key) + self.number("I", ARRAY) + self.number("I", F32) + self.length(count)
        return head + bytes(4 * count)

    def tensor(self, name: str, dimensions: Sequence[int], kind: int = TENSOR_F32, offset: int = 0) -> bytes:
        sides = b"".join(map(self.length, dimensions))
        head = self.text(name) + self.number("I", len(dimensions)) + sides
        return head + self.number("I", kind) + self.number("Q", offset)

    def file(self, values: Sequence[bytes] = (), tensors: Sequence[bytes] = (), data: bytes = b"") -> bytes:
        """The whole: a header, bytes up to the alignment, the tensors' data."""
        counts = self.length(len(tensors)) + self.length(len(values))
        head = b"GGUF" + self.number("I", self.version) + counts + b"".join(values) + b"".join(tensors)
        return head + bytes(-len(head) % 32) + data


V3 = Form()


def reading(data: bytes) -> Callable[[int, int], bytes]:
    """As parsers read a file."""
    return lambda count, offset: data[offset : offset + count]


def safetensors(header: Mapping[str, object] | bytes, data: bytes = b"") -> bytes:
    """A file with that header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(kind: str, shape: Sequence[int], start: int, end: int) -> dict[str, object]:
    """One entry of such a header."""
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


def weights(cut: int = 0) -> bytes:
    """A small model in safetensors; the last `cut` bytes are missing."""
    header = {
        "__metadata__": {"format": "pt", "config": '{"a": {"b": "}"}}'},
        "second": tensor("F32", [2, 2], 6, 22),
        "first": tensor("BF16", [3], 0, 6),
    }
    return safetensors(header, bytes(22 - cut))


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx(*more: bytes) -> bytes:
    """A small ONNX model: its version, its producer, a graph, an operator set."""
    graph = field(1, field(1, b"x") + field(2, b"y") + field(4, b"Identity")) + field(2, b"g")
    return b"".join([field(1, 8), field(2, b"pytorch"), field(7, graph), field(8, field(2, 17)), *more])


def model(form: Form = V3, *, words: int = 100, cut: int = 0) -> bytes:
    """A model with every fact; the last `cut` bytes of its data are missing."""
    values = [
        form.u32("llama.context_length", 4096),
        form.string("general.architecture", "llama"),
        form.string("general.name", "Tiny"),
        form.string("general.license", "mit"),
        form.u32("general.file_type", 15),
        form.string("tokenizer.ggml.model", "gpt2"),
        form.strings("tokenizer.ggml.tokens", [f"word{number}" for number in range(words)]),
        form.floats("tokenizer.ggml.scores", words),
        form.string("tokenizer.chat_template", "{{ x }}" * 1000),
    ]
    tensors = [form.tensor("norm", [64]), form.tensor("weights", [256, 4], TENSOR_Q4_K, 256)]
    return form.file(values, tensors, bytes(256 + 4 * 144 - cut))


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


# Made by `gguf.GGUFWriter` of the package gguf 0.19: F32, Q4_K, Q6_K and Q8_0 tensors of 256 x 4, a vocabulary of 8.
REAL = _unpacked(
    "eNrtk01OwzAQRl0opSBEAVEQOy/YEqXp3xJWlAPAOrLdaRrVcUJqpALiLmw5B1fiALTBieJQYI00T7Kiz/OSjB1nNLq73iSE1MkXLXM9NtcAFK"
    "RMOiwV01CD0A8pNJfzW6YuJYvYXkVWLMqkbTN/G6pH+v7WqmgyFKDmmblrSixhYgoXnuMeVuRJKMHXjwnUTZfH5Q4cESsNC+1LUIGeZquhhJxY"
    "DkQcxuNQBWWrRsihZXEZi5kv4gel61/1yqvSOAFnksK9z9kcGqvC+cdNwzgLZyJZsFp5Lb9NxzNQ4ROkThBE0oniMchmac+DRHvt9W4W5zvLQt"
    "OMFY2y7FqpYyXPSl0r9azUt9LASsMfmpuLOIWsuUapuSWXv42zX1aafeAdc7zyB9b+GD90F0EawLety88tcyl3i9ChvFMEj3KvCF3Ku0XoUd4r"
    "Qp/yfhEGlA+KMKR8ePqtKTFl2tcQJZJp6+94fqYL+vKykd/hbuSrLp2RMoXZWWdmP+NBxfTWmfvLcXVUMbvrzFW7r22CIAiCIAiCIAiCIAiCIA"
    "iCIAiC/Hs+AbK6pC0="
)
REAL_BIG_ENDIAN = _unpacked(
    "eNrtk0tOwzAURdPSlo8QP/ERMw+YErXphyGMgAXAOLLd1zTCcUJqpBbEXpiyDrbEAmgb28RAYIz0jpTaJ7lxrtP26ur20vO8Fa+gocdtPe5HIC"
    "Gnwqc5H8cKuHrIYX5+TV9vCkETqmXThCVNyqHVm1jOyNurWdvERMxBTsrJDZpRPobTwG/rM7smPIoFhGqWgW5pGy4b+DyVCqYqFCAjNS4yREe8"
    "wyIDCYPhMJaRk6qZ1G6RYiLldyFPH6TSj6q5j8rTDPxRDvcho8v2rev3E7NIa+qPBI0Wu7a3qfQOZPwIuR9FifCTdAiitOlGlKlAzw++ZJc6mV"
    "9YL91gxtbyatuxjmOBY13Heo71HRs4dlZRbsLTHEy5lil3Pv/47dAc/7RT8wUvFmyWdlv74/ipXQJ5BFWvrknbhLWtdAjrWAkIC6x0Ceta6RHW"
    "s9InrG9lQNjAyhlh5pUdfZbiY6pCBUkmqHL+HU9PZEqen7XW1aJWvRD722x436mrTkVys5jufCaDiuRWMd27sMluRVLXPXjxEARBEARBEARBEA"
    "RBEARBEARBkH/MB6ODpC0="
)

# Made by `safetensors.numpy.save_file` and `onnx.save` of the packages safetensors and onnx.
REAL_SAFETENSORS = _unpacked(
    "eNqV0LEKwjAQBuD4Fo7yzzdE20bs4ib4DLaEaFtcSluTQQkFH91r6RCpCv4cJLnclyHLhRjjoXVdOlMYZ7RG6lE1t9o4pGgdCHfe+AxdhjRDz4"
    "WecB7mCvdoS749qpjn7NUMp9M2J4xvNVVlS2e5JSlROatLqA7RJlCS4rlL1ATtd/hRKTko86bWKlARJXOoJO0Y9qsx0/eIf1chnnvxMy8BF1Ur"
)
REAL_ONNX = _unpacked(
    "eNrj4DNiysi0MucS4GKsEGKsVOLwTEnNK8ksqRRiTI/iBwlycXFwMAqxcDFxMCYBBSqRBZyYBGSK2LgYE4UYk04xqnExuikxJmoxJlkJQMQQxn"
    "mxcDEICAYxp+TnAgBcmxQS"
)
