"""What the README says is so: its transcripts are run, its names exist, and every command is in it."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

import luci_dl
from luci_dl.catalog import catalog
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.cli.main import COMMANDS, luci
from luci_dl.cli.topics import TOPICS, environment
from luci_dl.net.proxy import INSTALL_SOCKS
from tests.cli.shop import Shop
from tests.procs import ROOT, Spawned, wait_until
from tests.servers import FaultyServer, faults

README = (ROOT / "README.md").read_text()
DATA, OTHER = make_gguf(3_000_000), make_gguf(3_000_000, seed=1)
REDIRECTIONS = {"<", ">", "&&"}
ELSEWHERE = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"}
"""Variables whose names the source puts together."""

CHANGING = [
    (r"\d+-\d+-\d+", "DATE"),
    (r"\d+(\.\d+)?[kMG]?B(/s)?", "SIZE"),
    (r" {2,}", "  "),
]
"""What of an output is another one each time: dates, sizes, and how wide a column is because of them."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def table(*titles: str) -> list[list[str]]:
    """The cells of the rows below these titles."""
    _, _, below = README.partition(f"\n| {' | '.join(titles)} |\n")
    rows = [line.strip("|").split(" | ") for line in below.partition("\n\n")[0].splitlines()[1:]]
    return [[cell.strip() for cell in row] for row in rows]


def transcript(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what it is shown to say."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said


def steady(text: str, user: Path) -> str:
    text = text.replace(str(user), "/home/me")
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture
def user(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody for whom llama3.2 is small, and mistral never comes to its end."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("LUCI_HOME")
    shop = Shop(server, tmp_path / "catalog.toml")
    monkeypatch.setenv("LUCI_CATALOG", str(shop.file))
    sold = {"llama3.2": (DATA, [faults.ok()]), "mistral": (OTHER, [faults.stall(2_000_000)])}
    for name, (data, answers) in sold.items():
        model = catalog.load().find(name)
        assert model is not None
        shop.sell(model.reference, data, answers, files=[model.artifacts[0].name], aliases=model.aliases)
    return home


def run(command: str, interrupt: bool) -> str:
    """What the command says on both streams; stdout comes last where it is a path, as in a terminal."""
    words = shlex.split(command)
    assert words[0] == "luci"
    with Spawned(*words[1:]) as process:
        if interrupt:
            process.wait_for("Starting fresh")
            process.signal(signal.SIGINT)
        code = process.wait()
        assert (code == -signal.SIGINT) == interrupt
        return process.out + process.err if words[1] in ("clean", "list") else process.err + process.out


def crash(user: Path) -> None:
    """Leave what a `kill -9` leaves."""
    with Spawned("install", "mistral") as process:
        wait_until(lambda: list(user.rglob("mistral*.part")) and list(user.rglob("mistral*.journal")))
        process.signal(signal.SIGKILL)


def test_the_transcripts_are_what_luci_says(user: Path) -> None:
    """Up to sizes, speeds and dates; the clean-up follows a crash."""
    commands = [pair for block in blocks("console") for pair in transcript(block)]
    assert len(commands) >= 7
    for command, said in commands:
        if command.startswith("luci clean"):
            crash(user)
        interrupted = "^C\n" in said
        assert steady(run(command, interrupted), user) == steady(said.replace("^C\n", ""), Path("/home/me")), command


def test_the_python_example_runs(user: Path) -> None:
    """And says what was installed."""
    (example,) = blocks("python")
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"installed {user}/.luciferai/models/llama-3.2-3b-instruct-Q4_K_M.gguf\n" in ended.stdout
    assert ended.stdout.endswith(" bytes could be freed\n")


def command_lines() -> list[list[str]]:
    """Every `luci ...` of the shell blocks and the text."""
    shown = [command for block in blocks("console") for command, _ in transcript(block)]
    shell = "\n".join([*blocks("sh"), *shown])
    lines = re.findall(r"(?:^|\$\(|scripts/)(luci [^\n#)|]*)", shell, re.MULTILINE)
    lines += re.findall(r"`(?:scripts/)?(luci [^`]*)`", README)
    split = [shlex.split(line.strip().rstrip('"')) for line in lines]
    return [list(takewhile(lambda word: word not in REDIRECTIONS, words)) for words in split]


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_command_line_is_one_that_luci_takes(words: list[str]) -> None:
    """The command exists, and so does each of its options."""
    if words[1] in ("COMMAND", "--help"):
        return
    command = luci.get_command(click.Context(luci), words[1])
    assert command is not None
    options = words[2:]
    if isinstance(command, click.Group) and options:
        command = command.commands[options.pop(0)]
    if isinstance(command, click.Group):
        return  # the name of them all
    try:
        command.make_context(words[1], options)
    except click.MissingParameter:
        assert not options  # the name of the command alone, in the text
    except click.exceptions.Exit:
        assert "--help" in words


def test_every_command_is_in_the_table() -> None:
    cells = [cells[0] for cells in table("command", "does")]
    assert set(re.findall(r"[a-z]+", " ".join(re.findall("`([^`]*)`", " ".join(cells))))) == {*COMMANDS, "luci"}


def test_every_topic_of_the_reference_is_named() -> None:
    (sentence,) = re.findall(r"The reference is built in: (.*?)\.", README, re.DOTALL)
    assert set(re.findall(r"`(?:luci help )?([a-z-]+)`", sentence)) == set(TOPICS)


def test_the_functions_are_those_of_the_api() -> None:
    """With their arguments."""
    calls = re.findall(r"`(\w+)\(([^`]*)\)`", " ".join(cells[0] for cells in table("function", "returns")))
    assert {name for name, _ in calls} >= {name for name in luci_dl.__all__ if name.islower() and name[0] != "_"}
    for name, told in calls:
        taken = inspect.signature(getattr(luci_dl, name)).parameters
        assert told == "..." or {word.strip("* ") for word in told.split(",") if word} <= taken.keys(), name


def test_every_option_and_variable_exists() -> None:
    """Nothing is promised that does not exist yet."""
    commands = [luci.get_command(click.Context(luci), name) for name in COMMANDS]
    parts = [part for command in commands if isinstance(command, click.Group) for part in command.commands.values()]
    params = [param for command in (*commands, *parts) if command for param in command.params]
    options = {option for param in params for option in param.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", README)) <= options
    source = "".join(path.read_text() for path in (ROOT / "luci_dl").rglob("*.py"))
    variables = set(re.findall(r"`\$?([A-Z]+(?:_[A-Z]+)+)", README))
    assert {name for name in variables - ELSEWHERE if f'"{name}"' not in source} == set()


def test_the_messages_under_troubleshooting_exist() -> None:
    """Each part of them is in a text of the source, or in two texts that follow each other."""
    source = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text() for path in (ROOT / "luci_dl").rglob("*.py")))
    titles = re.findall(r"^- \*\*(.*?)\*\*:", README.partition("\n## Troubleshooting\n")[2], re.MULTILINE)
    parts = [part.strip() for title in titles for text in re.findall("`(.*?)`", title) for part in text.split("...")]
    assert len(titles) >= 10
    assert [part for part in parts if part not in source] == []


def test_socks_is_installed_the_same_way_everywhere() -> None:
    """In the README, the reference and the message; the package has that extra."""
    assert f"`{INSTALL_SOCKS}`" in README
    assert f"`{INSTALL_SOCKS}`" in environment.OTHERS["Proxies"]["HTTPS_PROXY, HTTP_PROXY, ALL_PROXY"]
    assert "\nsocks = [" in (ROOT / "pyproject.toml").read_text()


def test_the_links_lead_somewhere() -> None:
    """To files, and to headings of this page."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists()
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors
