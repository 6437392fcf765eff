"""The formats that luci knows, each by the suffixes of its files."""

from __future__ import annotations

from collections.abc import Callable

from luci_dl.formats import gguf, onnx, safetensors
from luci_dl.formats.reading import ReadAt
from luci_dl.formats.texts import Text, recognised
from luci_dl.frozen import frozen


def _anything(_head: bytes) -> bool:
    return True


@frozen
class Format:
    """What a file with one of these suffixes must be.

    Attributes:
        label: what it must be; continues "NAME is not ...".
        suffixes: in lower case.
        texts: the kinds of text that it may be.
        magic: the bytes that each such file begins with.
        may_begin: whether one can begin with these bytes, or with those that follow them.
        expected: what one begins with, for people.
        check: parses a whole file, and raises Damaged or Unsupported; None if luci cannot.
        may_run_code: programs that load it may run code that is in it.
    """

    label: str = "the file itself"
    suffixes: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    magic: bytes = b""
    may_begin: Callable[[bytes], bool] = _anything
    expected: str = ""
    check: Callable[[ReadAt, int], object] | None = None
    may_run_code: bool = False

    def accepts(self, head: bytes) -> bool:
        """Whether a file can begin with these bytes."""
        return recognised(head) in (None, *self.texts) and self.may_begin(head)


FORMATS = (
    Format("a GGUF file", (".gguf",), magic=gguf.MAGIC, expected="'GGUF'", check=gguf.check),
    Format(
        "a safetensors file",
        (".safetensors",),
        may_begin=safetensors.may_begin,
        expected=safetensors.EXPECTED,
        check=safetensors.check,
    ),
    Format("an ONNX file", (".onnx",), may_begin=onnx.may_begin, expected=onnx.EXPECTED, check=onnx.check),
    Format(
        "a model",
        (".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".pth.tar"),
        may_run_code=True,
    ),
    Format("a model", (".ggml", ".h5", ".keras", ".mlmodel", ".msgpack", ".npy", ".npz", ".pb", ".tflite")),
    Format(suffixes=(".ipynb", ".json", ".jsonl", ".md", ".txt"), texts=(Text.JSON, Text.ERROR)),
    Format(suffixes=(".htm", ".html", ".svg", ".xhtml", ".xml"), texts=(Text.PAGE, Text.XML)),
)
_OTHER = Format(texts=(Text.JSON,))


def format_of(name: str) -> Format:
    """What the file of that name must be."""
    return next((each for each in FORMATS if name.lower().endswith(each.suffixes)), _OTHER)
