"""`-v` and `--version`: what helps whoever has to find out what goes wrong."""

from __future__ import annotations

import json
from importlib.metadata import version

from tests.cli.shop import DATA, assert_refused, sha256
from tests.procs import luci
from tests.servers import FaultyServer
from tests.servers.faults import redirect

SECRETS = ("hf_secret", "signature", "pass%23", "pass#")


def test_each_request_is_told_and_no_secret(server: FaultyServer) -> None:
    """Method, address, bytes, status, seconds: on stderr, beside the usual words."""
    server.serve("/real.gguf", DATA)
    server.serve("/m.gguf", b"", [redirect(server.url("/real.gguf?X-Signature=signature"))])
    url = server.url("/m.gguf").replace("//", "//me:pass%23@")
    header = "X-Token: hf_secret"
    ended = luci("install", "-v", "-c", "1", "--header", header, f"{url}#sha256={sha256(DATA)}")
    assert ended.returncode == 0
    told = [line for line in ended.stderr.splitlines() if line.startswith("GET ")]
    assert any("/m.gguf (" in line and "(X-Token: ***)" in line and ": 302 in 0." in line for line in told)
    assert any("(Authorization: ***)" in line for line in told)
    assert any("/real.gguf?..." in line for line in told)
    assert not [secret for secret in SECRETS if secret in ended.stdout + ended.stderr]
    assert "Starting fresh" in ended.stderr


def test_a_request_without_an_answer_is_told_with_the_reason(server: FaultyServer) -> None:
    url = server.url("/m.gguf")
    server.close()
    ended = luci("install", "-v", "--retries", "0", url)
    assert ended.returncode == 4
    assert f"GET {url}: no answer (cannot connect to " in ended.stderr


def test_for_programs_a_request_is_an_event(server: FaultyServer) -> None:
    """Only with -v, which is how it was asked for."""
    url = server.serve("/m.gguf", DATA)
    quiet = luci("install", url, "--json", "--no-wait").stdout
    assert '"requested"' not in quiet
    told = [json.loads(line) for line in luci("install", url, "--json", "-v", "--force").stdout.splitlines()]
    (asked, *_) = [event for event in told if event["event"] == "requested"]
    assert (asked["method"], asked["url"], asked["masked_headers"], asked["status"]) == ("GET", url, [], 200)
    assert asked["seconds"] >= 0


def test_quiet_and_verbose_exclude_each_other() -> None:
    assert_refused(luci("install", "mistral", "-q", "-v"), 2, "--quiet and --verbose")


def test_the_versions_of_what_luci_stands_on() -> None:
    """What a report of a bug needs; each on its own line."""
    told = dict(line.split(" ", 1) for line in luci("--version").stdout.splitlines())
    assert list(told)[:3] == ["luci", "Python", "OpenSSL"]
    for name in ("urllib3", "filelock", "click", "rich", "truststore"):
        assert told[name] == version(name)
