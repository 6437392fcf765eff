"""A plain http(s) address: parsed here, and as a source the model of one file. See `Source` in sources/base.py."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

from luci_dl.errors import ResolveError, UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Access, Artifact, Model
from luci_dl.names import check_digest
from luci_dl.net.origin import is_safe
from luci_dl.sources.file_names import is_usable, name_within, telling_name
from luci_dl.sources.pages import file_address
from luci_dl.text import distinct_address, has_hidden_query, printable, public_address

if TYPE_CHECKING:
    from luci_dl.sources.context import ResolveContext
    from luci_dl.sources.endpoints import Endpoints, Server
    from luci_dl.sources.selection import FileSelection

DIGEST_ORIGIN = "user"
TAKES_PATTERNS = False
TAKES_HEADERS = True
RECEIPT_IS_ENOUGH = True

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f.]*:[0-9a-f:.]*")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "%/:@!$&'()*+,;=?~"  # allowed in a path or a query as it is; "%" because that is encoded already


def claims(word: str, _endpoints: Endpoints) -> bool:
    return "://" in word


def canonical(word: str, endpoints: Endpoints) -> str:
    return distinct_address(parse_address(word, endpoints.hubs).url)


def is_pinned(_reference: str) -> bool:
    return False


def targets(reference: str) -> Iterator[str]:
    try:
        name = telling_name(reference)
    except UsageError:
        return
    if name:
        yield name


def resolve(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    address, reference = parse_address(word, context.endpoints.hubs), canonical(word, context.endpoints)
    if has_hidden_query(address.url):
        raise ResolveError(f"{address.url} lacks its query, which luci does not keep", "Paste the whole address.")
    headers = {**address.headers, **selection.headers}
    name = selection.output or telling_name(address.url) or ""
    access: Access = "unknown" if headers or urlsplit(address.url).query else "public"
    artifact = Artifact(name, (address.url,), sha256=address.sha256, headers=headers, access=access)
    if not name:
        if not context.may_be_tampered:
            refuse_unproved_http(artifact, context.endpoints.http_hosts)
        artifact = replace(artifact, name=_asked_name(reference, artifact, context))
    return Model(reference, (artifact,))


def servers(_endpoints: Endpoints) -> tuple[Server, ...]:
    return ()


@frozen
class Address:
    """A parsed address.

    Attributes:
        url: ASCII, without credentials and fragment.
        headers: for the credentials that the address had.
        sha256: the digest that the fragment had.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    sha256: str | None


def parse_address(text: str, hubs: Sequence[str] = ()) -> Address:
    """Parse an http(s) address; that of a page that shows a file becomes the address of the file.

    Args:
        hubs: base addresses of servers with the same pages as the Hub.

    Raises: UsageError, which never shows the credentials.
    """
    public = printable(public_address(text if "://" in text else text.rpartition("@")[2]))
    if not text.isprintable() or " " in text or "\\" in text or _CONTROL.search(unquote(text)):
        raise UsageError(f"{public} has a space, a backslash or a control character in it", "Check the address.")
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https"):
            raise UsageError(f"{public} must begin with https:// or http://")
        host = _host_and_port(parts)
    except ValueError:
        raise UsageError(f"{public} has a bad host or port", "Check the address.") from None  # it may quote a password
    if ".." in re.split(r"[/\\]", unquote(parts.path)):
        raise UsageError(f'{public} has ".." in its path', "Give the address without it.")
    sha256 = _digest(parts.fragment, public) if parts.fragment else None
    query = f"?{_encoded(parts.query)}" if parts.query else ""
    address = file_address(f"{host}{_encoded(parts.path)}{query}", hubs)
    return Address(f"{parts.scheme}://{address}", _credentials(parts), sha256)


def refuse_unproved_http(artifact: Artifact, http_hosts: Collection[str] = ()) -> None:
    """Refuse plain http without a digest, except from these hosts and this machine: it could be tampered with.

    Raises: UsageError
    """
    for url in artifact.urls:
        if not artifact.provable and not is_safe(url, http_hosts):
            raise UsageError(
                f"{url} is plain http and no digest is known, so the file cannot be verified",
                "Give the digest with --sha256, or accept the risk with --unverified.",
            )


def _host_and_port(parts: SplitResult) -> str:
    """Raises: ValueError"""
    host, port = parts.hostname or "", parts.port
    if not host.isascii():
        host = host.encode("idna").decode()
    if not _HOST.fullmatch(host) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def _encoded(text: str) -> str:
    """`text` with everything percent-encoded that a request line cannot carry and that is not encoded yet."""
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_SAFE)


def _credentials(parts: SplitResult) -> dict[str, str]:
    if not parts.username and not parts.password:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _digest(fragment: str, public: str) -> str:
    kind, _, digest = fragment.partition("=")
    if kind.lower() != "sha256":
        raise UsageError(f"{public} must end with #sha256= and 64 hex digits, or without any #")
    return check_digest(digest, 64, f"the sha256 of {public}")


def _asked_name(reference: str, artifact: Artifact, context: ResolveContext) -> str:
    """The name of the file as it is installed already, or as the server says, or from within the path.

    Raises: UsageError, if nothing gives a name; LuciError, as a fetch.
    """
    installed, url = context.installed(reference), artifact.urls[0]
    if installed and len(installed.artifacts) == 1:
        return installed.artifacts[0].name
    name = next(filter(is_usable, context.suggested_names(artifact)), None) or name_within(url)
    if name is None:
        raise UsageError(f"neither {url} nor its server says what the file is called", "Give a name with -o.")
    return name
