"""`luci doctor`: its findings and hints, and that it neither changes nor waits for anything."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from luci_dl.disk.filesystems import FileSystem
from tests.disk.hands import held, kill_after, small_disk
from tests.procs import Spawned, files_left, luci
from tests.servers import FaultyServer
from tests.servers.faults import headers, ok, stall_head, status
from tests.tools import need

NOW = "Mon, 05 Jan 2026 12:00:00 GMT"


@pytest.fixture(autouse=True)
def servers(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    """The Hub and the registry on the loopback."""
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))
    monkeypatch.setenv("OLLAMA_REGISTRY", server.url(""))
    monkeypatch.setenv("DOCKER_REGISTRY", server.url(""))
    monkeypatch.setenv("LUCI_MODELS_DIR", os.environ["LUCI_HOME"] + "/models")
    for page in ("/robots.txt", "/v2/", "/api/whoami-v2"):
        server.serve(page, b"{}")
    return server


def findings(*args: str, code: int = 0) -> list[dict[str, object]]:
    """The findings, after checking the exit code."""
    ended = luci("doctor", "--json", *args)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def of(topic: str, found: list[dict[str, object]], level: str) -> str:
    """The message and hint of the only finding with that topic and level."""
    (one,) = [one for one in found if (one["topic"], one["level"]) == (topic, level)]
    return f"{one['message']} | {one['hint']}"


def config(home: Path, **values: object) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(json.dumps(values))


def test_a_sound_machine_passes_and_nothing_is_left(home: Path, models: Path) -> None:
    """One line for each check."""
    models.mkdir(parents=True)
    ended = luci("doctor")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {line.split()[1] for line in ended.stdout.splitlines() if line.startswith("OK ")} == {
        *("versions:", "config:", "catalog:", "folder:", "locks:", "space:", "left", "proxy:", "trust:", "reach:")
    }
    assert files_left(home) == ["models/"]


def test_a_missing_folder_is_not_created(home: Path) -> None:
    found = findings()
    assert "the first install creates it" in of("folder", found, "ok")
    assert not home.exists()


def test_every_finding_has_one_shape(models: Path) -> None:
    """For programs, on stdout alone."""
    for one in findings("--offline"):
        assert list(one) == ["event", "topic", "level", "message", "hint", "exit_code"]
        assert one["event"] == "finding"
        assert one["level"] in ("ok", "warning", "error")


def test_misspelt_settings_are_reported_with_a_suggestion(home: Path) -> None:
    config(home, modles_dir="/x", min_free="2G")
    assert 'unknown key "modles_dir"; did you mean models_dir?' in of("config", findings(), "warning")


def test_a_broken_config_does_not_hide_the_rest(home: Path) -> None:
    """Exit code 2, and the servers are still checked."""
    home.mkdir()
    (home / "config.json").write_text("{")
    found = findings(code=2)
    assert "is not JSON" in of("config", found, "error")
    assert any(one["topic"] == "reach" for one in found)


def test_a_broken_catalog_is_reported(home: Path) -> None:
    home.mkdir()
    (home / "catalog.toml").write_text("[[model]]\nnam = 1\n")
    assert "catalog.toml" in of("catalog", findings(code=2), "error")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error(models: Path) -> None:
    models.mkdir(parents=True, mode=0o555)
    assert "Permission denied" in of("folder", findings(code=6), "error")


def test_a_read_only_disk_is_called_that(models: Path) -> None:
    """And not by a file that could not be cleaned up."""
    models.parent.mkdir()
    with small_disk(models, 1 << 20):
        subprocess.run([need("mount"), "-o", "remount,ro", str(models)], check=True)
        assert "Read-only file system" in of("folder", findings(code=6), "error")
        subprocess.run([need("mount"), "-o", "remount,rw", str(models)], check=True)
        (models / ".luci").mkdir()
        subprocess.run([need("mount"), "-o", "remount,ro", str(models)], check=True)
        expected = f"cannot write into {models / '.luci'}: Read-only file system"
        assert expected in of("folder", findings(code=6), "error")


def test_a_file_in_the_place_of_the_folder_is_an_error(home: Path, models: Path) -> None:
    home.mkdir()
    models.write_text("")
    assert str(models) in of("folder", findings(code=6), "error")
    assert models.read_text() == ""


def test_an_unexpected_file_in_the_staging_is_an_error(models: Path) -> None:
    """It is named and left alone."""
    models.mkdir(parents=True)
    (models / ".luci").write_text("")
    assert ".luci" in of("folder", findings(code=6), "error")
    assert files_left(models) == [".luci"]


def test_a_remembered_folder_that_is_gone_is_no_error(home: Path, tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    config(home, folders=[str(tmp_path / "usb")])
    assert "Is its disk mounted?" in of("folder", findings(), "warning")


def test_too_little_space_is_an_error(home: Path, models: Path) -> None:
    """Every install would fail."""
    models.mkdir(parents=True)
    config(home, min_free="900T")
    assert "min_free" in of("space", findings(code=6), "error")


def test_a_disk_of_unknown_size_is_a_warning(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one without space, and not one with enough."""
    with small_disk(tmp_path / "disk", 0, kind="ramfs") as disk:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(disk))
        said = [
            str(found["message"]) for found in findings() if (found["topic"], found["level"]) == ("space", "warning")
        ]
        assert f"{disk}: the system does not say how much is free" in said


def test_a_full_disk_is_an_error(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is left on it."""
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(disk))
        (disk / "full").write_bytes(bytes((1 << 20) - 8192))
        found = findings(code=6)
        assert any(one["exit_code"] == 6 for one in found)
        assert files_left(disk) == ["full"]


def test_a_folder_in_memory_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 1 << 24) as disk:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(disk))
        assert "empty after a restart" in of("folder", findings(code=6), "warning")


def test_unfinished_downloads_are_reported_and_kept(models: Path) -> None:
    kill_after(models, b"GGUF" + bytes(100_000), 50_000, "half.gguf")
    before = files_left(models)
    assert "remove the files with `luci clean`" in of("left over", findings(), "warning")
    assert files_left(models) == before


def test_idle_locks_are_no_leftovers(models: Path) -> None:
    with held(models, "done.gguf"):
        pass
    assert "no unfinished downloads" in of("left over", findings(), "ok")


def test_offline_no_server_is_asked(servers: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--offline" in of("reach", findings("--offline"), "ok")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    findings()
    assert servers.exchanges() == []


def test_a_hub_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable Ollama registry is only a warning."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("OLLAMA_REGISTRY", address)
    assert "Connection refused" in of("reach", findings(), "warning")
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert "the Hub" in of("reach", findings(code=4), "error")


def test_a_server_error_of_the_hub_is_reported_with_its_status(servers: FaultyServer) -> None:
    servers.serve("/robots.txt", b"", [status(503)])
    assert "answered 503: server error" in of("reach", findings(code=4), "error")


def test_an_endpoint_that_is_no_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    assert "HF_ENDPOINT" in of("reach", findings(code=2), "error")


def test_the_token_is_tried_and_never_shown(servers: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    ended = luci("doctor", "-v")
    assert "accepts the token" in ended.stdout
    assert "/api/whoami-v2 (Authorization: ***): 200 in " in ended.stderr
    assert "hf_secret" not in ended.stdout + ended.stderr
    servers.serve("/api/whoami-v2", b"", [status(401)])
    assert "HF_TOKEN" in of("reach", findings(), "warning")


def test_a_wrong_clock_is_reported(servers: FaultyServer) -> None:
    for page in ("/robots.txt", "/v2/"):
        servers.serve(page, b"", [ok() + headers(Date=NOW)])
    assert "ahead of the servers' clock" in of("clock", findings(), "warning")


def test_an_invalid_date_is_ignored(servers: FaultyServer) -> None:
    servers.serve("/robots.txt", b"", [ok() + headers(Date="yesterday")])
    assert not [one for one in findings() if one["topic"] == "clock"]


def test_a_network_that_requires_a_login_is_noticed(servers: FaultyServer) -> None:
    """Its page comes in place of every response."""
    servers.serve("/robots.txt", b"<html><title>Hotel WiFi</title>")
    found = of("reach", findings(code=4), "error")
    assert '/robots.txt returned a web page (200, "Hotel WiFi")' in found


def test_the_proxy_is_named_and_reached(servers: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its variable and its hosts, but without its password."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%23word@127.0.0.1:{port}")
    ended = luci("doctor")
    assert ended.returncode == 4
    assert f"127.0.0.1:{port} (HTTP_PROXY) cannot be reached: Connection refused" in ended.stdout
    assert "pass" not in ended.stdout + ended.stderr
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "none for 127.0.0.1" in of("proxy", findings(), "ok")


def test_certificates_that_cannot_be_read_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert "SSL_CERT_FILE" in of("trust", findings(code=4), "error")


def test_ctrl_c_ends_it_at_once(servers: FaultyServer) -> None:
    """Although a server does not respond; by the signal, after the findings so far."""
    servers.serve("/robots.txt", b"", [stall_head()])
    with Spawned("doctor") as doctor:
        doctor.wait_for("trust:")
        servers.stalled.wait(10)
        doctor.signal(signal.SIGINT)
        assert doctor.wait(5) == -signal.SIGINT
        assert "Check interrupted by user" in doctor.err


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount table as on Linux, with a network share and a space in a name."""
    path = tmp_path / "mountinfo"
    path.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /mnt rw - ext4 /dev/sdb1 rw\n"
        "31 22 0:41 / /mnt rw shared:2 master:1 - nfs4 host:/export rw\n"
        "32 22 0:42 / /media/my\\040stick rw - vfat /dev/sdc1 rw\n"
        "nonsense\n"
    )
    monkeypatch.setattr("luci_dl.disk.filesystems._TABLE", path)
    return path


def test_the_file_system_is_the_deepest_and_latest_one(table: Path) -> None:
    """Its kind gives its restrictions."""
    from luci_dl.disk.filesystems import file_system

    share, stick = file_system(Path("/mnt/models")), file_system(Path("/media/my stick/a"))
    assert share == FileSystem("nfs4", "/mnt")
    assert share.is_remote
    assert stick == FileSystem("vfat", "/media/my stick")
    assert stick.holds_small_files_only
    assert file_system(Path("/media")) == FileSystem("ext4", "/")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has that table")
def test_without_a_table_the_file_system_is_unknown(table: Path) -> None:
    from luci_dl.disk.filesystems import file_system

    table.unlink()
    assert file_system(Path("/")) is None


def test_a_server_on_the_lan_is_checked(home: Path, server: FaultyServer) -> None:
    """By its status page; one that is away is a warning, since the Hub is asked then."""
    server.serve("/luci/v1/status", b"{}")
    config(home, lan=[server.url("", "localhost"), "http://127.0.0.1:9"])
    found = findings()
    fine = [str(one["message"]) for one in found if (one["topic"], one["level"]) == ("reach", "ok")]
    assert fine[0].startswith(f"a server on the LAN (localhost:{server.port}) answers")
    assert "a server on the LAN (127.0.0.1:9)" in of("reach", found, "warning")
