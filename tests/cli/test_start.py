"""Commands start fast: each loads only what it needs. Modules are counted, since times differ between machines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.shop import DATA, Shop, sha256

SLOW = {"urllib3", "ssl", "http.client", "email", "rich", "filelock", "asyncio", "logging", "tomlkit", "truststore"}
SLOW |= {"subprocess", "tempfile", "importlib.metadata", "luci_dl.disk.transaction"}
"""Modules that take long to load, and that the commands below do without."""
AT_THE_END = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules, file=sys.stderr))"
BEFORE_THE_FIRST_REQUEST = """
import sys, threading
start = threading.Thread.start
def show(thread):
    if thread.name == "luci-head-start":
        print("\\nloaded", *sys.modules, file=sys.stderr)
    start(thread)
threading.Thread.start = show
"""


def loaded(*words: str, show: str = AT_THE_END) -> set[str]:
    """The modules that a process has loaded when `luci WORDS` ends, or when `show` shows them."""
    command = [sys.executable, "-P", "-c", f"{show}\nfrom luci_dl.__main__ import main\nmain()", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True, timeout=50)
    shown = [line for line in ended.stderr.splitlines() if line.startswith("loaded ")]
    return set(shown[0].split()[1:])


def test_the_help_loads_the_commands_alone() -> None:
    """Neither the settings nor events, nor what shows them."""
    modules = loaded("--help")
    own = {name for name in modules if name.startswith("luci_dl.")}
    assert modules & (SLOW | {"luci_dl.events", "luci_dl.config", "luci_dl.install", "hashlib", "tomllib"}) == set()
    assert len(own) <= 16, sorted(own)


@pytest.mark.parametrize("files", [["m.gguf"], ["m-1.gguf", "m-2.gguf"]])
def test_an_installed_model_is_answered_without_the_code_that_installs(shop: Shop, files: list[str]) -> None:
    """Nor with locks or the network; `luci path` and `luci list` do without, too."""
    shop.sell("m", files=files)
    first = loaded("install", "m")
    assert "luci_dl.disk.transaction" in first
    assert "encodings.idna" not in first  # of international names
    modules = loaded("install", "m")
    assert modules & SLOW == set()
    assert len({name for name in modules if name.startswith("luci_dl.")}) <= 120
    assert loaded("path", "m") & SLOW == set()
    assert loaded("list") & SLOW == set()
    assert len(shop.server.exchanges()) == len(files)


def test_the_first_request_waits_for_nothing_that_it_does_not_need(shop: Shop) -> None:
    """For locks and parts, the parsers of formats, what reads documents, and the catalog."""
    url = shop.sell("m")
    modules = loaded("install", f"{url}#sha256={sha256(DATA)}", show=BEFORE_THE_FIRST_REQUEST)
    assert "luci_dl.net.client" in modules
    assert modules & {"filelock", "html", "rich", "tomlkit", "tomllib", "truststore"} == set()
    later = {"disk.transaction", "disk.part", "formats", "net.fetch", "net.document", "net.server_message"}
    assert {name.removeprefix("luci_dl.") for name in modules} & later == set()
    assert len({name for name in modules if name.startswith("luci_dl.")}) <= 142
