"""What goes wrong on the way to a server, in words: with whom, why, and what to do."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

from urllib3 import exceptions as urllib3

from luci_dl.errors import NetworkError
from luci_dl.net.answers import is_passing, place_of, retry_after
from luci_dl.net.connections import TunnelRefused
from luci_dl.net.proxy import Proxy
from luci_dl.net.retry import AttemptFailed
from luci_dl.text import printable

_UNTRUSTED = {
    9: ("it is not valid yet", "Is this computer's clock right?"),
    10: ("it has expired", "Is this computer's clock right? If it is, only who runs the server can renew it."),
    18: ("it is signed by nobody but itself", ""),
    62: ("it belongs to another host", "Does this network want you to sign in first? Open any page in a browser."),
    64: ("it belongs to another host", "Give the name that the certificate was made for instead of the number."),
}
"""OpenSSL's codes of what can be said better than by "the authority is not known here"."""
_UNKNOWN = "who signed it is not known here"
_OWN_AUTHORITY = "Behind a company's proxy? Add its certificate to the system's, or name its file in SSL_CERT_FILE."
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}


@contextmanager
def translate_errors(url: str, proxy: Proxy | None) -> Iterator[None]:
    """Raises: AttemptFailed or NetworkError, in place of what the libraries raise."""
    try:
        yield
    except (urllib3.LocationValueError, UnicodeError) as error:
        raise NetworkError(f"{url} cannot be asked for: {error}", "Check the address.") from error
    except (urllib3.HTTPError, HTTPException, TunnelRefused, OSError) as error:
        raise _explained(error, url, proxy) from error


def refuses_user(proxy: Proxy, schemes: str = "") -> NetworkError:
    """The proxy wants another user or password; `schemes` are those of its Proxy-Authenticate."""
    known = re.findall(r"(?:^|,)\s*([A-Za-z]+)(?=[ ,]|$)", schemes)
    if known and "basic" not in map(str.lower, known):
        return NetworkError(
            f"{proxy} asks who you are by {' or '.join(known)}, and luci knows only Basic",
            f"Run a relay that knows it, such as cntlm or px, and name that in {proxy.variable}.",
        )
    what = "does not accept the user and password" if proxy.user else "asks for a user and a password"
    return NetworkError(
        f"{proxy} {what}",
        f"Set {proxy.variable} to {proxy.scheme}://USER:PASSWORD@{proxy.place}, with : / @ # as %3A %2F %40 %23.",
    )


def no_way(
    proxy: Proxy, host: str, place: str, answer: str, *, for_good: bool, retry_after: float | None = None
) -> Exception:
    """The proxy does not let us through to the host: for good, or as things are now; `answer` is what it says."""
    if for_good:
        hint = f"Ask who runs the proxy; if {host} can be reached without it, name {host} in NO_PROXY."
        return NetworkError(f"{proxy} refuses the way to {place}: {answer}", hint)
    hint = f"The proxy answers, but finds no way to {host}: check the name, or ask who runs the proxy."
    return AttemptFailed(f"{proxy} finds no way to {place}: {answer}", retry_after, hint=hint)


@dataclass(frozen=True)
class _Peer:
    """Whom we talked to: a server, or a proxy.

    Attributes:
        host: its name alone; label: as it stands in messages.
        plain: what to do when it speaks no TLS; hint: when the line fails, empty for the usual.
    """

    host: str
    label: str
    plain: str
    hint: str = ""


def _explained(error: Exception, url: str, proxy: Proxy | None) -> Exception:
    place, host = place_of(url), urlsplit(url).hostname or url
    if proxy is None:
        return _of_line(error, _Peer(host, place, "Does it have to begin with http:// instead?"))
    if isinstance(error, TunnelRefused):
        return _of_tunnel(error, place, host, proxy)
    if isinstance(error, urllib3.ProxyError):
        return _of_line(error.original_error, _peer(proxy))
    if proxy.socks:
        from luci_dl.net.socks import socks_trouble

        if found := socks_trouble(_chain(error), host, place, proxy):
            return found
    return _of_line(error, _Peer(host, f"{place} through {proxy}", "Does it have to begin with http:// instead?"))


def _peer(proxy: Proxy) -> _Peer:
    return _Peer(
        f"{proxy.host} ({proxy.variable})",
        str(proxy),
        f"Let its address in {proxy.variable} begin with http://",
        f"Is {proxy.variable} right? Name hosts that are to be reached without a proxy in NO_PROXY.",
    )


def _of_tunnel(refused: TunnelRefused, place: str, host: str, proxy: Proxy) -> Exception:
    if refused.status == 407:
        return refuses_user(proxy, refused.headers.get("proxy-authenticate", ""))
    answer = f"{refused.status} {printable(refused.reason)[:80]}".strip()
    for_good = not is_passing(refused.status)
    return no_way(proxy, host, place, answer, for_good=for_good, retry_after=retry_after(refused.headers))


def _of_line(error: Exception, peer: _Peer) -> Exception:
    """Names come first: to urllib3 they are connections too, and those time-outs."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause, peer)
    if isinstance(error, urllib3.NameResolutionError):
        return AttemptFailed(f"the name {peer.host} cannot be looked up", hint=peer.hint)
    if isinstance(error, urllib3.NewConnectionError):
        return AttemptFailed(f"no connection to {peer.label}: {_words(error)}", hint=peer.hint)
    if isinstance(error, urllib3.TimeoutError | TimeoutError):
        return AttemptFailed(f"{peer.label} does not answer", hint=peer.hint)
    if isinstance(error, urllib3.ProtocolError | HTTPException):
        cause = error.args[-1] if error.args else error
        if isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected | IncompleteRead):
            return NetworkError(f"{peer.label} does not speak HTTP", "Check the address.")
        return AttemptFailed(f"the connection to {peer.label} broke off", hint=peer.hint)
    return AttemptFailed(f"{peer.label}: {_words(error)}", hint=peer.hint)


def _of_tls(error: ssl.SSLError, peer: _Peer) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason, hint = _UNTRUSTED.get(error.verify_code, (_UNKNOWN, ""))
        words = f"{reason} ({error.verify_message})" if error.verify_message else reason
        return NetworkError(f"the certificate of {peer.label} cannot be trusted: {words}", hint or _OWN_AUTHORITY)
    if error.reason in _NOT_TLS:
        return AttemptFailed(f"{peer.label} does not speak TLS", hint=peer.plain)  # or a network interferes
    return AttemptFailed(f"TLS with {peer.label} failed: {_words(error)}", hint=peer.hint)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and so on."""
    seen: list[BaseException] = []
    following: object = error
    while isinstance(following, BaseException) and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__ or (following.args[0] if following.args else None)


def _words(error: BaseException) -> str:
    """The system's own words, without the names of libraries and objects around them."""
    *_, first = _chain(error)
    text = str(getattr(first, "strerror", None) or first)
    return re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", text)
