"""Whose certificates are trusted: the system's, and those that the environment names. The door to truststore."""

from __future__ import annotations

import os
import ssl
import sys

from luci_dl.errors import NetworkError

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Each may name more certificates; the first that is set counts."""
FOLDERS = "SSL_CERT_DIR"
"""May name folders of them, whose files are called as `openssl rehash` does it."""


def trusted_certificates() -> ssl.SSLContext:
    """What to hold servers' certificates against. Raises: NetworkError, which names a variable that leads nowhere."""
    context = _system_certificates()
    variable = next((name for name in FILES if os.environ.get(name)), None)
    if variable:
        _load(context, variable, os.environ[variable])
    folders = os.environ.get(FOLDERS)
    if folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise _unusable(FOLDERS, folders, "there is no such folder")
    return context


def _system_certificates() -> ssl.SSLContext:
    """Of truststore only where OpenSSL does not find them: truststore reads them all, and lets the others wait, for
    each single handshake.
    """
    if sys.platform == "linux":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
        if context.cert_store_stats()["x509_ca"]:
            return context
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load(context: ssl.SSLContext, variable: str, path: str) -> None:
    """Of a folder (REQUESTS_CA_BUNDLE may name one) the files are looked up when they are needed."""
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise _unusable(variable, path, "it holds no certificate in PEM form") from error
    except OSError as error:
        raise _unusable(variable, path, error.strerror or str(error)) from error


def _unusable(variable: str, path: str, reason: str) -> NetworkError:
    return NetworkError(
        f"{variable}={path} cannot be used: {reason}", f"Let {variable} name a file of certificates, or unset it."
    )
