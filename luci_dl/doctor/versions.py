"""What luci runs on, for `--version` and for reports of trouble. No library is loaded for that."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from luci_dl import __version__

LIBRARIES = ("urllib3", "filelock", "click", "rich", "tomlkit", "truststore")
OPTIONAL = ("PySocks",)


def versions() -> dict[str, str]:
    """Of luci, of Python and of the libraries, by name; those that are not there are left out."""
    import ssl  # costs more than the rest together

    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = {
        "luci": __version__,
        "Python": platform.python_version(),
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
    }
    for name in (*LIBRARIES, *OPTIONAL):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"system": system}
