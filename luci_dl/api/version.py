"""`luci version`: the versions of luci and of what it runs on, found without loading the libraries."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from luci_dl import __version__

LIBRARIES = ("urllib3", "filelock", "click", "rich", "tomlkit", "truststore", "xxhash")
OPTIONAL = ("PySocks", "obstore")


def versions() -> dict[str, str]:
    """Versions by name: luci, Python, OpenSSL, the libraries that are installed, and the system."""
    import ssl  # takes longer to load than everything else here

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
