"""`-v` and `--version`: what helps to find out what goes wrong."""

from __future__ import annotations

import json
from importlib.metadata import version

from tests.cli.shop import DATA, assert_refused, sha256
from tests.procs import luci
from tests.servers import FaultyServer
from tests.servers.faults import redirect

SECRETS = ("hf_secret", "signature", "pass%23", "pass#")


def test_each_request_is_shown_without_secrets(server: FaultyServer) -> None:
    """Method, address, bytes, status and seconds, on stderr among the usual messages."""
    server.serve("/real.gguf", DATA)
    server.serve("/m.gguf", b"", [redirect(server.url("/real.gguf?X-Signature=signature"))])
    url = server.url("/m.gguf").replace("//", "//me:pass%23@")
    header = "X-Token: hf_secret"
    ended = luci("install", "-v", "-c", "1", "--header", header, f"{url}#sha256={sha256(DATA)}")
    assert ended.returncode == 0
    shown = [line for line in ended.stderr.splitlines() if line.startswith("GET ")]
    assert any("/m.gguf bytes 0- (" in line and "(X-Token: ***)" in line and ": 302 in 0." in line for line in shown)
    assert any("(Authorization: ***)" in line for line in shown)
    assert any("/real.gguf?..." in line for line in shown)
    assert not [secret for secret in SECRETS if secret in ended.stdout + ended.stderr]
    assert "Starting fresh" in ended.stderr


def test_a_request_without_a_response_is_shown_with_the_reason(server: FaultyServer) -> None:
    url = server.url("/m.gguf")
    server.close()
    ended = luci("install", "-v", "--retries", "0", url)
    assert ended.returncode == 4
    assert f"GET {url} bytes 0-: no answer (cannot connect to " in ended.stderr


def test_for_programs_a_request_is_an_event(server: FaultyServer) -> None:
    """Only with -v."""
    url = server.serve("/m.gguf", DATA)
    quiet = luci("install", url, "--json", "--no-wait").stdout
    assert '"requested"' not in quiet
    shown = [json.loads(line) for line in luci("install", url, "--json", "-v", "--force").stdout.splitlines()]
    (asked, *_) = [event for event in shown if event["event"] == "requested"]
    assert (asked["method"], asked["url"], asked["range"]) == ("GET", url, "bytes=0-")
    assert (asked["masked_headers"], asked["status"]) == ([], 206)
    assert asked["seconds"] >= 0


def test_quiet_and_verbose_exclude_each_other() -> None:
    assert_refused(luci("install", "mistral", "-q", "-v"), 2, "--quiet and --verbose")


def test_the_versions_of_luci_and_its_libraries() -> None:
    """What a bug report needs, one line for each."""
    shown = dict(line.split(" ", 1) for line in luci("--version").stdout.splitlines())
    assert list(shown)[:3] == ["luci", "Python", "OpenSSL"]
    for name in ("urllib3", "filelock", "click", "rich", "truststore"):
        assert shown[name] == version(name)
