"""`luci shell`: the same words at a prompt, where Ctrl+C ends a command and not the shell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipapp
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from luci_dl import __version__
from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import Shop, assert_nothing_left
from tests.interrupting import DELETED, STOPPED, patched, wait_for_part
from tests.procs import LUCI, ROOT, Code, Spawned, luci, plain_text, wait_until
from tests.servers import faults

VERSION = f"luci {__version__}"
PROMPT = "LuciferAI> "
LARGE = make_gguf(2_000_000)  # a smaller file has no journal that shows that it is being fetched
HALF = len(LARGE) // 2


@pytest.fixture
def shell(home: Path) -> Iterator[Spawned]:
    """A shell in a terminal, at its prompt."""
    with Spawned("shell", terminal=True) as shell:
        shell.wait_for(PROMPT)
        yield shell


def type_in(shell: Spawned, keys: str, shown: str) -> None:
    """Type, wait until that is shown, then clear the line."""
    before = len(shell.out)
    shell.press(keys)
    wait_until(lambda: shown in plain_text(shell.out[before:]), 10, shown)
    obey(shell, "\x03")


def obey(shell: Spawned, keys: str, *, prompts: int = 1) -> str:
    """Type, and wait for that many further prompts. Returns: the output meanwhile, as plain text."""
    before = len(shell.out)
    shell.press(keys)
    wait_until(lambda: shell.out.count(PROMPT, before) >= prompts or shell.process.poll() is not None, 30, PROMPT)
    return plain_text(shell.out[before:])


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def state(pid: int) -> str:
    """T when it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def script(text: str, command: Sequence[str] = LUCI, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a shell that reads its commands from a pipe."""
    argv = [*command, "shell"]
    return subprocess.run(argv, input=text, cwd=cwd, capture_output=True, text=True, timeout=30, check=False)


def test_ctrl_c_ends_the_download_and_the_prompt_comes_back(shop: Shop, models: Path, shell: Spawned) -> None:
    """With the documented messages; nothing is left, and the next install starts fresh; Ctrl+D leaves with 0."""
    shop.sell("m", LARGE, [faults.stall(HALF), faults.ok()])
    shell.press("install m\n")
    assert shop.server.stalled.wait(20)
    wait_for_part(models)
    said = obey(shell, "\x03")
    assert f"{STOPPED}{DELETED.format('m.gguf')}{PROMPT}" in said
    assert_nothing_left(models)
    said = obey(shell, "install m\n")
    assert "Starting fresh" in said
    assert "✅ Installed m.gguf" in said
    assert_nothing_left(models, "m.gguf")
    shell.press("\x04")
    assert shell.wait() == 0


def test_repeated_ctrl_c_leaves_the_shell_alive(shop: Shop, models: Path, shell: Spawned) -> None:
    """Any number of times, while a download is cleaned up and at the prompt."""
    shop.sell("m", LARGE, [faults.stall(HALF)])
    shell.press("install m\n")
    wait_for_part(models)
    obey(shell, "\x03\x03\x03")
    obey(shell, "\x03")
    assert VERSION in obey(shell, "version\n")
    assert_nothing_left(models)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_the_shell_after_its_clean_up(
    shop: Shop, models: Path, shell: Spawned, signum: signal.Signals
) -> None:
    """By the signal, as they end luci itself."""
    shop.sell("m", LARGE, [faults.stall(HALF)])
    shell.press("install m\n")
    wait_for_part(models)
    shell.signal(signum)
    assert shell.wait(10) == -signum
    assert_nothing_left(models)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_the_terminal_in_order(home: Path, signum: signal.Signals) -> None:
    """While a line was being typed: its editor has the terminal echo nothing."""
    look = ["sh", "-c", '"$@"; stty -a', "sh", *LUCI]
    with Spawned("shell", terminal=True, command=look) as run:
        run.wait_for(PROMPT)
        run.press("half a li")
        run.wait_for("half a li")
        os.kill(children(run.pid)[0], signum)
        run.wait(10)
        modes = run.out[run.out.rindex("half a li") :].split()
    assert "echo" in modes
    assert "icanon" in modes


def test_ctrl_c_at_the_prompt_clears_the_line(shell: Spawned) -> None:
    """What was typed is not run."""
    type_in(shell, "nonsense", "nonsense")
    assert VERSION in obey(shell, "version\n")
    assert "there is no command" not in shell.out


def test_ctrl_z_at_the_prompt_stops_the_shell_and_fg_draws_a_new_prompt(home: Path) -> None:
    """The terminal is in order meanwhile, and edits lines again afterwards."""
    job = ["bash", "--norc", "-ic", 'set -m; "$@"; stty -a; fg; echo "ended with $?"', "sh", *LUCI]
    with Spawned("shell", terminal=True, command=job, env={"PS1": "", "HISTFILE": ""}) as run:
        run.wait_for(PROMPT)
        run.press("half a li")
        run.wait_for("half a li")
        run.press("\x1a")
        run.wait_for("min = 1")
        assert " icanon" in run.out
        wait_until(lambda: run.out.count(PROMPT) >= 2, 10, "a new prompt")
        assert VERSION in obey(run, "versi\t\n")
        run.press("\x04")
        run.wait_for("ended with 0")


def test_ctrl_z_stops_the_shell_and_its_command_and_fg_continues_both(shop: Shop, models: Path) -> None:
    """Both belong to one job of the outer shell."""
    shop.sell("m", LARGE, [faults.stall(HALF)])
    job = ["bash", "--norc", "-ic", 'set -m; "$@"; echo "stopped with $?"; read; fg; echo "ended with $?"', "sh", *LUCI]
    with Spawned("shell", terminal=True, command=job, env={"PS1": "", "HISTFILE": ""}) as run:
        run.wait_for(PROMPT)
        run.press("install m\n")
        wait_for_part(models)
        (shell,) = children(run.pid)
        (command,) = children(shell)
        run.press("\x1a")
        run.wait_for("stopped with 148")
        assert [state(pid) for pid in (shell, command)] == ["T", "T"]
        shop.server.release()
        run.press("\n")
        run.wait_for(installed := "✅ Installed m.gguf")
        wait_until(lambda: PROMPT in run.out.rpartition(installed)[2], 10, PROMPT)
        assert VERSION in obey(run, "version\n")
        run.press("\x04")
        run.wait_for("ended with 0")
    assert_nothing_left(models, "m.gguf")


def test_a_command_that_is_killed_says_so(shop: Shop, models: Path, shell: Spawned) -> None:
    """And the prompt comes back."""
    shop.sell("m", LARGE, [faults.stall(HALF)])
    shell.press("install m\n")
    wait_for_part(models)
    before = len(shell.out)
    os.kill(children(shell.pid)[0], signal.SIGKILL)
    wait_until(lambda: PROMPT in shell.out[before:])
    assert "❌ the command was killed by SIGKILL\n   `luci clean` removes what it left behind.\n" in shell.out
    assert "Freed" in obey(shell, "clean\n")


def test_a_command_sees_the_environment_of_the_shell(home: Path) -> None:
    """Not the terminal's size, which the line editor notes in the environment, and which is wrong after a resize."""
    tell = "import sys; os.write(2, f'{sys.argv[1:]}: {os.environ.get(\"COLUMNS\")}, {os.getcwd()}\\n'.encode())"
    with Spawned("shell", terminal=True, command=patched(tell).command, cwd=home.parent) as shell:
        shell.wait_for(PROMPT)
        assert f"['version']: None, {home.parent}\n{VERSION}" in obey(shell, "version\n")


def test_a_shell_that_was_not_installed_finds_itself(tmp_path: Path) -> None:
    """One in a zipapp runs its commands from there."""
    shutil.copytree(ROOT / "luci_dl", tmp_path / "app" / "luci_dl", ignore=shutil.ignore_patterns("__pycache__"))
    main = "import sys; print('zipped', *sys.argv[1:], flush=True); from luci_dl.__main__ import main; main()"
    (tmp_path / "app" / "__main__.py").write_text(main)
    zipapp.create_archive(tmp_path / "app", tmp_path / "luci.pyz")
    ended = script("version\n", command=[sys.executable, "luci.pyz"], cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"zipped shell\nzipped version\n{VERSION}")


def test_a_process_that_cannot_be_started_is_one_clear_error(home: Path) -> None:
    """And the next line is read all the same."""
    broken = "import subprocess\ndef fail(*_, **__): raise BlockingIOError(11, 'Try again')\nsubprocess.Popen = fail"
    ended = script("version\nnonsense '\n", command=patched(broken).command)
    assert ended.returncode == 6
    assert ended.stderr.count("❌ cannot start luci: Try again") == 1
    assert "a quote is opened and never closed" in ended.stderr


def test_the_history_lasts_from_one_shell_to_the_next(home: Path) -> None:
    """Only the user may read it; the arrow key finds earlier lines."""
    for keys in ("version\nversion\nhelp nothing\n", "\x1b[A\x1b[A\n"):
        with Spawned("shell", terminal=True) as shell:
            shell.wait_for(PROMPT)
            obey(shell, keys, prompts=keys.count("\n"))
            shell.press("exit\n")
            assert shell.wait() == 0
    assert (home / "shell_history").read_text().splitlines() == [
        *("version", "help nothing", "exit"),
        *("help nothing", "exit"),
    ]
    assert (home / "shell_history").stat().st_mode & 0o777 == 0o600


def test_a_history_that_cannot_be_written_is_no_error(home: Path) -> None:
    """In a read-only home, for example."""
    (home / "shell_history").mkdir(parents=True)
    with Spawned("shell", terminal=True) as shell:
        shell.wait_for(PROMPT)
        assert VERSION in obey(shell, "version\n")
        type_in(shell, "\x1b[A", "version")


def test_tab_completes_commands_models_and_paths(shop: Shop, shell: Spawned, tmp_path: Path) -> None:
    """And the words that only the prompt knows."""
    shop.sell("zebra-7b")
    (tmp_path / "some-folder").mkdir()
    type_in(shell, "inst\tzeb\t--di\t", "install zebra-7b --dir ")
    type_in(shell, f"list --dir {tmp_path}/some\t", "/some-folder/")
    type_in(shell, f"luci list --dir={tmp_path}/some\t", "/some-folder/")
    type_in(shell, "exi\t", "exit")


CTRL_C_IN_TAB = """
import os, signal
import luci_dl.cli.shell as shell
shell.complete_line = lambda _line: os.kill(os.getpid(), signal.SIGINT) or []
"""


def test_ctrl_c_while_a_word_is_completed_clears_the_line(home: Path) -> None:
    """The line editor drops what a completer raises, and then waits for a key."""
    with Spawned("shell", terminal=True, command=Code(CTRL_C_IN_TAB)) as shell:
        shell.wait_for(PROMPT)
        obey(shell, "inst\t")
        assert VERSION in obey(shell, "version\n")


def test_a_question_that_is_interrupted_takes_nothing_of_what_comes_next(shop: Shop, shell: Spawned) -> None:
    """No thread that reads the terminal is left behind."""
    shell.press("install all models\n")
    shell.wait_for("[y/N]")
    obey(shell, "\x03")
    for _ in range(2):
        assert VERSION in obey(shell, "version\n")
    shell.press("install all models\n")
    wait_until(lambda: shell.out.count("[y/N]") == 2)
    assert "nothing was installed" in obey(shell, "n\n")


def test_a_bug_shows_its_traceback_and_the_prompt_comes_back(home: Path) -> None:
    """Only that command fails."""
    broken = "import luci_dl.library.installed as there\ndef fail(*_): raise ZeroDivisionError\nthere.installed = fail"
    with Spawned("shell", terminal=True, command=patched(broken).command) as shell:
        shell.wait_for(PROMPT)
        assert "Traceback" in obey(shell, "list\n")
        assert VERSION in obey(shell, "version\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("install 'm", "a quote is opened and never closed"),
        ('install "m', "a quote is opened and never closed"),
        ("install m\\", "a backslash ends the line"),
        ("instal m", "did you mean `luci install`?"),
        ("install --jbos 2 m", "--jobs"),
        ("install", "no model given"),
        ("in\0stall", "NUL"),
        ("path 'no such model'", 'no model "no such model"'),
        ("exit now", "there is no command `exit`"),
    ],
)
def test_an_invalid_line_gets_one_clear_error(home: Path, line: str, said: str) -> None:
    """And the next one is read all the same."""
    ended = script(f"{line}\nversion\n")
    assert ended.stderr.count("❌") == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert VERSION in ended.stdout
    assert ended.returncode in (2, 3)


def test_without_a_terminal_all_lines_are_tried_and_the_first_failure_is_the_exit_code(shop: Shop) -> None:
    """No prompt, no history; a `luci` before the words, empty lines and comments are fine; `exit` ends it."""
    shop.sell("m")
    ended = script("# what for\n\npath m\nnonsense\nluci install m\npath 'm'\nexit\nnonsense\n")
    path = str(Path(os.environ["LUCI_HOME"]) / "models" / "m.gguf")
    assert ended.stdout.splitlines() == [path, path]
    assert ended.returncode == 3
    assert ended.stderr.count("there is no command `nonsense`") == 1
    assert PROMPT not in ended.stdout + ended.stderr
    assert not (Path(os.environ["LUCI_HOME"]) / "shell_history").exists()
    assert script("version\nexit\n").returncode == 0


def test_a_script_is_ended_by_a_signal_as_luci_is(shop: Shop, models: Path, tmp_path: Path) -> None:
    """Also by Ctrl+C: nobody is at the prompt."""
    shop.sell("m", LARGE, [faults.stall(HALF)])
    commands = tmp_path / "commands"
    commands.write_text("install m\nversion\n")
    with Spawned("shell", command=["sh", "-c", f'exec "$@" < {commands}', "sh", *LUCI]) as shell:
        wait_for_part(models)
        shell.signal(signal.SIGINT)
        assert shell.wait(10) == -signal.SIGINT
        assert VERSION not in shell.out
    assert_nothing_left(models)


def test_only_the_output_may_go_elsewhere(home: Path, tmp_path: Path) -> None:
    """Then the prompt goes to stderr, so that the file has only the results."""
    file = tmp_path / "out"
    with Spawned("shell", terminal=True, command=["sh", "-c", f'exec "$@" > {file}', "sh", *LUCI]) as shell:
        shell.wait_for(PROMPT)
        obey(shell, "version\n")
        shell.press("\x04")
        assert shell.wait() == 0
    assert file.read_text().startswith(VERSION)


def test_a_shell_in_the_shell_is_refused(shell: Spawned) -> None:
    """It would not be clear which one `exit` leaves."""
    assert "already in the luci shell" in obey(shell, "shell\n")


def test_closed_input_is_the_end(home: Path) -> None:
    ended = subprocess.run(["sh", "-c", '"$@" shell <&-', "sh", *LUCI], cwd=ROOT, timeout=30, check=False)
    assert ended.returncode == 0
    assert luci("shell").returncode == 0


def test_the_shell_keeps_and_passes_on_no_secret(home: Path) -> None:
    """The command gets the address and the header as typed, but not as arguments that every user sees."""
    tell = "import sys; os.write(2, f'{sys.argv[1:]}\\n'.encode())"
    secret, header = "https://me:s3cr3t@localhost:1/m.gguf?token=s3cr3t", "--header 'X-Token: s3cr3t'"
    with Spawned("shell", terminal=True, command=patched(tell).command) as shell:
        shell.wait_for(PROMPT)
        before = len(shell.out)
        shown = obey(shell, f"install -v --retries 0 {header} {secret}\n")
        assert "['install', '-v', '--retries', '0', '--header', '...', 'https://localhost:1/m.gguf']" in shown
        assert "GET https://localhost:1/m.gguf?..." in shell.out[before:]
        assert all(f"({name}: ***)" in shell.out[before:] for name in ("Authorization", "X-Token"))
        obey(shell, f"install --header 'X-Token: s3cr3t {secret}\n")
    kept = (home / "shell_history").read_text().splitlines()
    assert kept == ["install -v --retries 0 --header ... https://localhost:1/m.gguf", "install "]
