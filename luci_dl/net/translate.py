"""Connection errors in words: with which host, why, and what to do. Every error of a library ends here."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

from urllib3 import exceptions as urllib3

from luci_dl.errors import NetworkError
from luci_dl.frozen import frozen
from luci_dl.net.head import InvalidHead
from luci_dl.net.origin import host_of
from luci_dl.net.proxy import Proxy, TunnelRefused
from luci_dl.net.retry import AttemptFailed, OutOfResources, retry_after_s
from luci_dl.net.sent_secrets import without_sent
from luci_dl.net.status import LOG_IN, is_temporary
from luci_dl.text import printable

_CERTIFICATE_ERRORS = {
    9: ("it is not valid yet", "Is this computer's clock right?"),
    10: ("it has expired", "Is this computer's clock right? If it is, only the server's operator can renew it."),
    18: ("it is self-signed", ""),
    62: ("it is for another host", LOG_IN),
    64: ("it is for another host", "Use the host name that the certificate was made for instead of the IP address."),
}
"""OpenSSL's codes that have a better explanation than an unknown issuer."""
_UNKNOWN_ISSUER = "its issuer is not trusted on this computer"
_ADD_ISSUER = "Behind a company's proxy? Add its certificate to the system's, or name its file in SSL_CERT_FILE."
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_EXHAUSTED = {EMFILE, ENFILE, ENOBUFS, ENOMEM}
_TRY_HTTP = "Should the address begin with http:// instead?"


@contextmanager
def translate_errors(url: str, proxy: Proxy | None) -> Iterator[None]:
    """Raises: AttemptFailed or NetworkError, in place of what the libraries raise."""
    try:
        yield
    except (urllib3.LocationValueError, UnicodeError) as error:
        raise NetworkError(f"{url} cannot be requested: {error}", "Check the address.") from None  # shows the address
    except ValueError:  # of a header, which may be secret
        raise NetworkError(f"{url} cannot be requested: a header is invalid", "Check the token or password.") from None
    except (urllib3.HTTPError, HTTPException, TunnelRefused, OSError) as error:
        raise _translated(error, url, proxy) from error


def proxy_auth_error(proxy: Proxy, schemes: str = "") -> NetworkError:
    """The proxy wants another user name or password. `schemes`: its Proxy-Authenticate header."""
    offered = re.findall(r"(?:^|,)\s*([A-Za-z]+)(?=[ ,]|$)", schemes)
    if offered and "basic" not in map(str.lower, offered):
        return NetworkError(
            f"{proxy} requires authentication by {' or '.join(offered)}, but luci supports only Basic",
            f"Run a local proxy that supports it, such as cntlm or px, and name that one in {proxy.variable}.",
        )
    problem = "rejects the user name and password" if proxy.user else "requires a user name and a password"
    return NetworkError(
        f"{proxy} {problem}",
        f"Put USER:PASSWORD@ before {proxy.place} in {proxy.variable}, with : / @ # as %3A %2F %40 %23.",
    )


def proxy_refusal(
    proxy: Proxy, host: str, place: str, answer: str, *, permanent: bool, retry_after: float | None = None
) -> Exception:
    """The proxy does not connect to a host, permanently or for now. `answer`: what it says."""
    if permanent:
        hint = f"Ask the proxy's operator; if {host} can be reached without it, add {host} to NO_PROXY."
        return NetworkError(f"{proxy} refuses to connect to {place}: {answer}", hint)
    hint = f"The proxy works, but cannot reach {host}: check the name, or ask the proxy's operator."
    return AttemptFailed(f"{proxy} cannot connect to {place}: {answer}", retry_after, hint=hint)


@frozen
class _Peer:
    """The other end of a connection: a server, or a proxy.

    Attributes:
        host: its name; label: its name in messages.
        plain_hint: what to do when it does not speak TLS.
        hint: what to do when the connection fails; empty for the default.
    """

    host: str
    label: str
    plain_hint: str
    hint: str = ""


def _translated(error: Exception, url: str, proxy: Proxy | None) -> Exception:
    place, host = host_of(url), urlsplit(url).hostname or url
    if any(isinstance(cause, OSError) and cause.errno in _EXHAUSTED for cause in _chain(error)):
        return OutOfResources(f"cannot connect to {place}: {_system_message(error)}")
    if proxy is None:
        return _connection_error(error, _Peer(host, place, _TRY_HTTP))
    if isinstance(error, TunnelRefused):
        return _tunnel_error(error, place, host, proxy)
    if isinstance(error, urllib3.ProxyError):
        return _connection_error(error.original_error, _proxy_peer(proxy))
    if proxy.socks:
        from luci_dl.net.socks import translate_socks_error

        if found := translate_socks_error(_chain(error), host, place, proxy):
            return found
    return _connection_error(error, _Peer(host, f"{place} through {proxy}", _TRY_HTTP))


def _proxy_peer(proxy: Proxy) -> _Peer:
    return _Peer(
        f"{proxy.host} ({proxy.variable})",
        str(proxy),
        f"Start its address in {proxy.variable} with http://",
        f"Is {proxy.variable} correct? List hosts that need no proxy in NO_PROXY.",
    )


def _tunnel_error(refused: TunnelRefused, place: str, host: str, proxy: Proxy) -> Exception:
    if refused.status == 407:
        return proxy_auth_error(proxy, refused.headers.get("proxy-authenticate", ""))
    answer = f"{refused.status} {without_sent(printable(refused.reason))[:80]}".strip()
    permanent = not is_temporary(refused.status)
    return proxy_refusal(
        proxy,
        host,
        place,
        answer,
        permanent=permanent,
        retry_after=retry_after_s(refused.headers),
    )


def _connection_error(error: Exception, peer: _Peer) -> Exception:
    """The order matters: to urllib3 a name resolution error is a connection error, and that is a time-out."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            return _tls_error(cause, peer)
        if isinstance(cause, InvalidHead):
            return NetworkError(f"{peer.label} sent an invalid response: {cause}", "Try again later.")
    if isinstance(error, urllib3.NameResolutionError):
        return AttemptFailed(f"cannot resolve the name {peer.host}", hint=peer.hint)
    if isinstance(error, urllib3.NewConnectionError):
        return AttemptFailed(f"cannot connect to {peer.label}: {_system_message(error)}", hint=peer.hint)
    if isinstance(error, urllib3.TimeoutError | TimeoutError):
        return AttemptFailed(f"{peer.label} did not respond in time", hint=peer.hint)
    if isinstance(error, urllib3.ProtocolError | HTTPException):
        cause = error.args[-1] if error.args else error
        if isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected | IncompleteRead):
            return NetworkError(f"{peer.label} does not speak HTTP", "Check the address.")
        return AttemptFailed(f"the connection to {peer.label} was lost", hint=peer.hint)
    return AttemptFailed(f"{peer.label}: {_system_message(error)}", hint=peer.hint)


def _tls_error(error: ssl.SSLError, peer: _Peer) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason, hint = _CERTIFICATE_ERRORS.get(error.verify_code, (_UNKNOWN_ISSUER, ""))
        details = f"{reason} ({error.verify_message})" if error.verify_message else reason
        return NetworkError(f"the certificate of {peer.label} cannot be trusted: {details}", hint or _ADD_ISSUER)
    if error.reason in _NOT_TLS:
        return AttemptFailed(f"{peer.label} does not speak TLS", hint=peer.plain_hint)  # or a network interferes
    return AttemptFailed(f"TLS with {peer.label} failed: {_system_message(error)}", hint=peer.hint)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    seen: list[BaseException] = []
    following: object = error
    while isinstance(following, BaseException) and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__ or (following.args[0] if following.args else None)


def _system_message(error: BaseException) -> str:
    """The system's message at the root of the error, without the names of libraries and objects around it."""
    *_, root = _chain(error)
    text = str(getattr(root, "strerror", None) or root)
    return re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", text)
