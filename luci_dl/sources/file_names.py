"""What the file at a plain address is called, as far as the address shows that."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from luci_dl.errors import UsageError
from luci_dl.names import check_name
from luci_dl.net.file_names import disposition_name

_SUFFIX = re.compile(r".+\.(\w*[a-z]\w*)", re.IGNORECASE | re.DOTALL)
_NOT_OF_FILES = re.compile(r"php\d?|aspx?|ashx|jspx?|cgi|do|action|cfm|com|org|net|io|git", re.IGNORECASE)
"""Suffixes of scripts that send files, and of hosts and repositories within a path."""
_OF_MODELS = re.compile(
    r"gguf|ggml|safetensors|bin|pth?|ckpt|onnx|tflite|npz|h5|pkl|llamafile|zip|7z|tar|t?gz|xz|zst|json", re.IGNORECASE
)
_PARAMETERS = re.compile(r"(?:file_?)?(?:name|path)|file|key", re.IGNORECASE)
"""Names of parameters that may give the name of the file."""
_DISPOSITION = "response-content-disposition"


def telling_name(url: str) -> str | None:
    """The file name at the end of the address, or in its query; None if neither looks like one.

    Raises: UsageError, if the address ends without a name, or with one that is not allowed.
    """
    last = _last_part(url)
    if last and _looks_like_file(check_name(last)):
        return last
    for parameter, value in parse_qsl(urlsplit(url).query):
        is_disposition = parameter.lower() == _DISPOSITION
        if is_disposition or _PARAMETERS.fullmatch(parameter):
            name = disposition_name(value) if is_disposition else value.rpartition("/")[2]
            if is_usable(name):
                return name
    if not last:
        raise UsageError(f"{url} has no file name at its end", "Give a name with -o.")
    return None


def name_within(url: str) -> str | None:
    """The last part of the path that is the name of a model's file: /files/m.gguf/content. None without one."""
    names = [unquote(part) for part in reversed(urlsplit(url).path.split("/"))]
    return next((name for name in names if is_usable(name) and _OF_MODELS.fullmatch(_suffix(name))), None)


def is_usable(name: str) -> bool:
    """True if it looks like the name of a file, and a target may have it."""
    try:
        return "/" not in name and _looks_like_file(check_name(name))
    except UsageError:
        return False


def _looks_like_file(name: str) -> bool:
    suffix = _suffix(name)
    return bool(suffix) and not _NOT_OF_FILES.fullmatch(suffix)


def _suffix(name: str) -> str:
    """What follows the last dot, if a letter is in it."""
    found = _SUFFIX.fullmatch(name)
    return found[1] if found else ""


def _last_part(url: str) -> str:
    """Decoded. Raises: UsageError"""
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2], errors="strict")
    except UnicodeDecodeError:
        raise UsageError(f"the file name in {url} is not UTF-8", "Give a name with -o.") from None
    if "/" in name:
        raise UsageError(f'{url} has a slash ("%2f") in its file name', "Give a name with -o.")
    return name
