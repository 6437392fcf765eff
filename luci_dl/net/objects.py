"""Objects in S3, and in stores that speak its protocol: addresses to read them, and writing them.

The only user of obstore, which the extra `s3` installs; imported on demand. Endpoint, region and credentials are those
that obstore finds in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

from luci_dl.environment import variable
from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.net.server_message import error_code, server_message
from luci_dl.text import cut

try:
    import obstore
    from obstore import exceptions
    from obstore.store import S3Store
except ModuleNotFoundError as error:
    raise UsageError("s3:// needs obstore, which is not installed", "pip install 'luci-dl[s3]'") from error

VALID = timedelta(hours=1)
"""How long an address to read from serves. A longer download gets a new one when it is refused."""
PART_BYTES = 8 << 20
MAX_PARTS = 10_000
"""S3 takes no more parts of one object: those of large files are larger than `PART_BYTES`."""
PARTS_AT_ONCE = 4
RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for a profile of the AWS CLI: "
    'eval "$(aws configure export-credentials --format env)"), or AWS_SKIP_SIGNATURE=true for a public bucket.'
)
ENDPOINT = "Check the connection, and AWS_ENDPOINT_URL if it is set."
_REGION_CODES = ("AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "PermanentRedirect")
_CREDENTIAL_CODES = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccessDenied")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_YES = ("1", "true", "yes", "on", "y")
_STATUS = re.compile(r"status code: (\d{3})")


def signed(url: str) -> str:
    """The address at which the object can be read for `VALID`. It is a secret.

    Raises: ResolveError, without credentials; UsageError.
    """
    bucket, key = _split(url)
    public = _is_public()
    try:
        address = obstore.sign(_store(bucket, public), "GET", key, VALID)
    except exceptions.BaseError as error:
        raise ResolveError(f"{url} cannot be read: no credentials were found", CREDENTIALS) from error
    return address.partition("?")[0] if public else address


def size_of(url: str) -> int | None:
    """The size of the object; None where there is none. Raises: ResolveError; NetworkError; UsageError."""
    bucket, key = _split(url)
    with _translated(url):
        try:
            return int(obstore.head(_store(bucket), key)["size"])
        except FileNotFoundError:
            return None


def put(url: str, blocks: Iterator[bytes], size: int) -> None:
    """Write an object, which is there once it is complete. What `blocks` raises leaves nothing there.

    Raises: NotFound, without such a bucket; ResolveError; NetworkError; UsageError; what `blocks` raises.
    """
    bucket, key = _split(url)
    part = max(PART_BYTES, -(-size // MAX_PARTS))
    with _translated(url):
        obstore.put(
            _store(bucket),
            key,
            blocks,
            chunk_size=part,
            max_concurrency=PARTS_AT_ONCE,
            use_multipart=size > part,
        )


def object_refusal(url: str, status: int, why: str, code: str = "") -> LuciError:
    """The error for a store that does not serve or take the object, for the reason `why`, with S3's own `code`."""
    why = f": {why}" if why else f" ({status})"
    if code == "NoSuchBucket":
        return NotFound(
            f"there is no bucket s3://{_split(url)[0]}", "Check its name, and AWS_ENDPOINT_URL if it is set."
        )
    if code in _REGION_CODES or status == 301:
        return ResolveError(f"{url}: the store refuses the request{why}", "Is it in another region? Set AWS_REGION.")
    if code in _CREDENTIAL_CODES or status in (401, 403):
        return ResolveError(f"{url}: the store denies access{why}", CREDENTIALS)
    if status == 404:
        return NotFound(f"{url}: the store has no such file{why}", "Check the address.")
    return NetworkError(f"{url}: the store failed{why}", ENDPOINT)


def refusal_in(url: str, status: int, body: bytes) -> LuciError:
    """The same, for the XML in which S3 says why."""
    why = server_message({"content-type": "application/xml"}, body)
    return object_refusal(url, status, why, error_code(body))


def _split(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _is_public() -> bool:
    return variable(os.environ, "AWS_SKIP_SIGNATURE").casefold() in _YES


def _store(bucket: str, public: bool = False) -> S3Store:
    """The bucket. `public`: it is read without credentials, so any will do.

    Raises: UsageError, when a variable is wrong.
    """
    for name in _ENDPOINTS:
        if (address := variable(os.environ, name)) and not _ADDRESS.fullmatch(address):
            raise UsageError(f"{name} is not the address of a server", "Give one such as https://s3.example:9000.")
    return _store_by(bucket, public, tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_"))))


@lru_cache(8)  # it keeps the credentials that a role gave it
def _store_by(bucket: str, public: bool, _variables: tuple[tuple[str, str], ...]) -> S3Store:
    anyone = {"access_key_id": "-", "secret_access_key": "-"} if public else {}
    try:
        return S3Store(
            bucket,
            client_options={"allow_http": True, "connect_timeout": "10s", "timeout": "300s"},  # callers judge http
            retry_config=RETRIES,
            **anyone,  # type: ignore[arg-type]
        )
    except (exceptions.BaseError, ValueError) as error:
        raise UsageError(f"s3://{bucket} cannot be used: {_first_line(error)}", CREDENTIALS) from error


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Raises: an error of ours in place of obstore's."""
    try:
        yield
    except (exceptions.BaseError, FileNotFoundError) as error:
        text = str(error).partition("\n\nDebug source")[0]
        found = _STATUS.search(text)
        if not found:
            raise NetworkError(f"{url}: {cut(text.rpartition(' - ')[2])}", ENDPOINT) from error
        raise refusal_in(url, int(found[1]), text[found.end() :].partition(": ")[2].encode()) from error


def _first_line(error: Exception) -> str:
    return cut(str(error).partition("\n")[0].removeprefix("Generic S3 error: "))
