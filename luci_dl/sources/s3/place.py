"""Addresses in a bucket: parsed, and made from the references of models."""

from __future__ import annotations

import re

from luci_dl.errors import UsageError
from luci_dl.names import check_digest
from luci_dl.text import cut, public_address

SCHEME = "s3://"
MAX_KEY = 1024
"""The size limit of a key in S3, in bytes."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")
_DIGEST = "#sha256="
_FORM = f"expected {SCHEME}BUCKET/KEY"
_EXAMPLE = f"For example: {SCHEME}models/llama3.2, or a file with its digest, {_DIGEST}HEX, right after its key."


def parse_place(word: str) -> tuple[str, str | None]:
    """The one form of an address with a key, and the digest after it. Raises: UsageError."""
    text, mark, digest = word.partition(_DIGEST)
    place = parse_prefix(text)
    if "/" not in place.removeprefix(SCHEME):
        raise UsageError(f"{cut(place)} names a bucket, but no file in it: {_FORM}", _EXAMPLE)
    return place, check_digest(digest, 64, f"the sha256 of {place}") if mark else None


def parse_prefix(text: str) -> str:
    """The one form of an address of a bucket, or of a place in it. Raises: UsageError, which shows no credentials."""
    bucket, slash, key = text[len(SCHEME) :].partition("/")
    if text[: len(SCHEME)].casefold() != SCHEME or not _BUCKET.fullmatch(bucket):
        raise UsageError(f'"{cut(public_address(text))}" names no bucket: {_FORM}', _EXAMPLE)
    key = key.removesuffix("/")
    if slash and key and (problem := problem_of_key(key)):
        raise UsageError(f"{SCHEME}{bucket}/{cut(re.split('[?#]', key)[0])}: the key {problem}", _EXAMPLE)
    return f"{SCHEME}{bucket}/{key}" if key else f"{SCHEME}{bucket}"


def problem_of_key(key: str) -> str:
    """Why luci does not take a key that S3 may allow; empty if it does."""
    if not key.isprintable() or "\\" in key:
        return "has a backslash, or a character in it that cannot be printed"
    if "?" in key or "#" in key:
        return "has a ? or # in it"
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        return 'has an empty part, "." or ".." in it'
    return f"has more than {MAX_KEY} bytes" if len(key.encode()) > MAX_KEY else ""


def place_of(reference: str, prefix: str) -> str:
    """Where the model of that reference is below the prefix: by its name, or by the last part of its address."""
    name = reference.rpartition("/")[2] if "://" in reference else reference
    return f"{prefix}/{'/'.join(map(plain, name.split('/')))}"


def plain(part: str) -> str:
    """A part of a path with nothing in it that a shell or an address would take for something else."""
    return _UNUSUAL.sub("-", part).strip("-.") or "model"
