"""TAB completion: what it offers, also in real shells, fast, and without any message if something is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from luci_dl.cli.completion import completions
from luci_dl.cli.main import COMMANDS
from tests.cli.shop import DATA, Shop
from tests.procs import LUCI, ROOT, Spawned, luci, plain_text, wait_until
from tests.tools import need

SET_UP = {
    "bash": (["--norc"], "eval \"$(luci completion bash)\"; PS1='> '"),
    "zsh": (["-f"], "PS1='> '; autoload -U compinit; compinit -u -D; eval \"$(luci completion zsh)\""),
    "fish": (["--no-config"], "function fish_prompt; echo '> '; end; luci completion fish | source"),
}
"""For each shell its options, and what is typed first."""


def offered(line: str) -> list[str]:
    """The completions of the last word."""
    *words, last = line.split(" ")
    return [item.value for item in completions(words, last)]


def asked(line: str, **env: str) -> tuple[int, str, str]:
    """Ask as the scripts do. Returns: the exit code, stdout and stderr."""
    words = {"COMP_WORDS": f"luci {line}", "COMP_CWORD": str(len(line.split(" "))), "_LUCI_COMPLETE": "bash_complete"}
    ended = luci(env=words | env)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completes_in_a_real_shell(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """With the script that `luci completion` prints: a command, a model, an option, a folder."""
    program = need(shell)
    options, set_up = SET_UP[shell]
    shop.sell("zebra-7b")
    (tmp_path / "some-folder").mkdir()
    file = tmp_path / "bin" / "luci"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(LUCI)} "$@"\n')
    file.chmod(0o755)
    env = {"PATH": f"{file.parent}:{os.environ['PATH']}", "INPUTRC": "/dev/null", "HISTFILE": ""}
    with Spawned(*options, "-i", terminal=True, command=[program], env=env, cwd=tmp_path) as run:
        run.press(f"{set_up}; echo 'rea''dy'\n")
        run.wait_for("ready\n")
        for keys, shown in [
            ("luci inst", "install"),
            (" zeb", "zebra-7b"),
            (" --keep", "--keep-partial"),
            (" --dir som", "some-folder/"),
        ]:
            before = len(run.out)
            run.press(f"{keys}\t")
            what = f"{shown!r} in {run.out[before:]!r}"
            wait_until(lambda: shown in plain_text(run.out[before:]), 20, what)  # noqa: B023 - waited for at once
            run.press("" if keys == " --dir som" else "\x7f")  # the space that comes after a word


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", list(COMMANDS)),
        ("comp", ["completion"]),
        ("install zeb", ["zebra-7b"]),
        ("install ZEB", ["zebra-7b"]),
        ("install zor", ["zorro"]),
        ("install stri", ["striped"]),
        ("install striped model", ["models"]),
        ("install model", []),
        ("install zebra-7b zeb", []),
        ("install --keep", ["--keep-partial"]),
        ("install zebra-7b --j", ["--jobs", "--json"]),
        ("info zeb", ["zebra-7b"]),
        ("path zeb", []),
        ("config un", ["unset"]),
        ("config set on", ["on_interrupt"]),
        ("config set on_interrupt ", ["delete", "keep"]),
        ("config set jobs ", []),
        ("config unset models", ["models_dir"]),
        ("help comp", ["completion"]),
        ("help e", ["export", "exit-codes", "environment", "events"]),
        ("help cat", ["catalog"]),
        ("completion z", ["zsh"]),
        ("nonsense z", []),
    ],
)
def test_only_valid_words_are_offered(shop: Shop, line: str, words: list[str]) -> None:
    """In upper or lower case; a word that is on the line already is not offered again."""
    shop.sell("zebra-7b", aliases=["zorro"], groups=["striped"])
    assert offered(line) == words


def test_the_shell_itself_completes_paths() -> None:
    """Folders where a folder is asked for, else files."""
    assert [item.type for item in completions(["install", "--dir"], "/t")] == ["dir"]
    assert [item.type for item in completions(["config", "set", "backup_models_dir"], "/t")] == ["dir"]
    assert [item.type for item in completions(["install", "--from"], "/t")] == ["file"]


def test_what_is_installed_is_offered_by_its_name_or_its_file(shop: Shop, tmp_path: Path) -> None:
    """An address would be hard to type, and its colon to complete; with --dir, of that folder."""
    shop.sell("zebra-7b")
    url = shop.server.serve("/zoo.gguf", DATA)
    folder = str(tmp_path / "elsewhere")
    assert luci("install", "zebra-7b").returncode == 0
    assert luci("install", url, "--dir", folder).returncode == 0
    assert offered("path z") == ["zebra-7b", "zoo.gguf"]
    assert offered(f"path --dir {folder} z") == ["zoo.gguf"]


@pytest.mark.parametrize("line", ["install ", "path ", "info ", "config set ", "nonsense ", "install --dir '"])
def test_errors_print_nothing(home: Path, line: str) -> None:
    """The user is typing."""
    home.mkdir()
    (home / "config.json").write_text("{broken")
    code, _, said = asked(line, LUCI_CATALOG="/no/such.toml")
    assert (code, said) == (0, "")
    code, _, said = asked(line, LUCI_HOME="~no-such-user-at-all", _LUCI_COMPLETE="nonsense")
    assert (code, said) == (0, "")


def test_an_answer_loads_nothing_that_takes_long(shop: Shop, tmp_path: Path) -> None:
    """No code for the network, colours or locks, even to complete models and settings."""
    modules = tmp_path / "modules"
    code = "import atexit, sys; atexit.register(lambda: open(sys.argv[1], 'w').write(' '.join(sys.modules)))"
    command = [sys.executable, "-P", "-c", f"{code}\nfrom luci_dl.__main__ import main\nmain()", str(modules)]
    env = {"COMP_WORDS": "luci info z", "COMP_CWORD": "2", "_LUCI_COMPLETE": "bash_complete"}
    shop.sell("zebra-7b")
    with Spawned(command=command, env=env) as run:
        assert run.wait() == 0
    assert "zebra-7b" in run.out
    assert not set(modules.read_text().split()) & {"urllib3", "rich", "truststore", "ssl", "asyncio"}


def test_a_shell_that_luci_does_not_know_is_refused() -> None:
    """The message names the known ones."""
    ended = luci("completion", "csh")
    assert ended.returncode == 2
    assert all(shell in ended.stderr for shell in SET_UP)
