"""The trusted certificates: the system's, and those that the environment names. The only user of truststore."""

from __future__ import annotations

import os
import ssl
import sys

from luci_dl.environment import variable
from luci_dl.errors import NetworkError

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Each may name a file of additional certificates; the first one that is set is used."""
FOLDERS = "SSL_CERT_DIR"
"""May name folders of certificates whose file names were made by `openssl rehash`."""


def named_files() -> list[tuple[str, str]]:
    """The variables that name files of certificates, with their values. Raises: UsageError, for one in quotes."""
    return [(name, path) for name in FILES if (path := variable(os.environ, name))]


def trusted_certificates() -> ssl.SSLContext:
    """The context that verifies servers.

    Raises: NetworkError, when a variable names something that is unusable; UsageError, for one in quotes.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.platform == "linux":
        context.set_default_verify_paths()  # what SSL_CERT_FILE and SSL_CERT_DIR name, or else the system's
    found = context.cert_store_stats()["x509_ca"]
    if not found:  # it loads all certificates for each handshake, and lets one handshake wait for the other
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, path in named_files()[:1]:
        if not found or name != FILES[0]:  # to load many takes 50 ms
            _load(context, name, path)
    folders = variable(os.environ, FOLDERS)
    if folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise _unusable(FOLDERS, folders, "no such folder", "folder")
    return context


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    """REQUESTS_CA_BUNDLE may name a folder, too; OpenSSL looks up the files of a folder when it needs them."""
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise _unusable(name, path, "it contains no certificate in PEM format") from error
    except OSError as error:
        raise _unusable(name, path, error.strerror or str(error)) from error


def _unusable(name: str, path: str, reason: str, kind: str = "file") -> NetworkError:
    hint = f"Set {name} to a {kind} of certificates, or unset it."
    return NetworkError(f"{name}={path} cannot be used: {reason}", hint)
