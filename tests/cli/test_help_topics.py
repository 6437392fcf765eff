"""`luci help TOPIC`: everything in the tables of the code is described, and nothing can be added without."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import pytest

from luci_dl import errors
from luci_dl.catalog.entries import FILE_KEYS, MODEL_KEYS, read_entries
from luci_dl.cli import topics
from luci_dl.cli.json_shapes import ANSWERS
from luci_dl.cli.main import COMMANDS
from luci_dl.cli.main import luci as luci_group
from luci_dl.cli.shell import HISTORY
from luci_dl.cli.topics import catalog as catalog_topic
from luci_dl.cli.topics import files as files_topic
from luci_dl.cli.topics.exit_codes import kinds
from luci_dl.cli.topics.json import meaning
from luci_dl.cli.topics.json_types import keys_of, shapes_in, type_name
from luci_dl.config.settings import KEYS, load_settings
from luci_dl.disk.layout import Staging
from luci_dl.events import event_types
from luci_dl.net import certificates
from tests.cli import shapes
from tests.cli.shop import assert_refused
from tests.procs import ROOT, luci

PRINT_EVENTS = {
    *(
        "install",
        "clean",
        "verify",
        "remove",
        "upgrade",
        "move",
        "export",
        "import",
        "push",
        "link",
        "unlink",
        "doctor",
        "demo",
    ),
    "serve",
}
"""The commands of which `--json` prints events."""


def one_line(topic: str) -> str:
    """The topic without its line breaks."""
    return " ".join(" ".join(topics.lines(topic)).split())


def rows(topic: str) -> dict[str, str]:
    """The terms of the topic's tables with their meanings, each on one line."""
    found: dict[str, str] = {}
    term = ""
    for line in topics.lines(topic):
        if match := re.fullmatch(r" {2}(\S.*?)(?: {2,}(\S.*))?", line):
            term = match[1]
            found[term] = match[2] or ""
        elif line.startswith("   ") and term:
            found[term] = f"{found[term]} {line.strip()}".strip()
    return found


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_a_topic_is_plain_text_of_eighty_columns(topic: str) -> None:
    """On stdout, in ASCII, with one line break at the end."""
    ended = luci("help", topic)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == topics.lines(topic)
    assert ended.stdout.isascii()
    assert not ended.stdout.endswith("\n\n")
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_help_alone_lists_commands_and_topics() -> None:
    """Each with a summary, within 80 columns."""
    ended = luci("help", env={"COLUMNS": "80"})
    assert (ended.returncode, ended.stderr) == (0, "")
    for name, summary in (COMMANDS | topics.TOPICS).items():
        assert re.search(rf"^ +{name} +{re.escape(summary[:20])}", ended.stdout, re.MULTILINE), name
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_help_of_a_command_is_that_of_its_option() -> None:
    """Also of a command of a command; a topic of the same name as a command comes first."""
    for words in (["install"], ["config", "set"], ["catalog", "add"]):
        assert luci("help", *words).stdout == luci(*words, "--help").stdout
    assert luci("help", "catalog").stdout.splitlines() == topics.lines("catalog")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("exit-code", "`luci help exit-codes`"),
        ("exitcodes", "`luci help exit-codes`"),
        ("Environment", "`luci help environment`"),
        ("setting", "`luci help settings`"),
        ("event", "`luci help events`"),
        ("instal", "`luci install`"),
        ("nonsense", "there is no command `nonsense`"),
    ],
)
def test_an_unknown_topic_suggests_the_nearest(word: str, said: str) -> None:
    """Or the nearest command."""
    assert_refused(luci("help", word), 2, said)


def test_every_exit_code_is_described() -> None:
    """By the docstring of its error."""
    described = rows("exit-codes")
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LuciError)]
    without = {errors.LuciError.exit_code, errors.Interrupted.exit_code}
    assert {kind.exit_code for kind in kinds()} == {kind.exit_code for kind in classes} - without
    assert set(described) == {"0", "1", "128+n"} | {str(kind.exit_code) for kind in kinds()}
    assert [code for code, text in described.items() if len(text) < 10] == []


def test_every_setting_is_described() -> None:
    """What it is for, what it may be, its default, and the variable and the option that override it."""
    described = rows("settings")
    install = luci_group.get_command(click.Context(luci_group), "install")
    assert install is not None
    options = {option for param in install.params for option in param.opts}
    for name, key in KEYS.items():
        assert key.purpose, name
        assert key.kind.allowed, name
        assert described[name].startswith(f"{key.purpose[0].upper()}{key.purpose[1:]}: {key.kind.allowed}. Default: ")
        assert {word.strip(".") for word in described[name].split()} >= {key.variable, key.option} - {""}
        assert not key.option or key.option in options
    assert "Default: ~/.luciferai/models." in described["models_dir"]
    assert "Default: 1GiB." in described["min_free"]


def test_the_example_of_config_json_can_be_read(tmp_path: Path) -> None:
    """As it is shown."""
    text = "\n".join(topics.lines("settings"))
    (tmp_path / "config.json").write_text(re.findall(r"^  \{.*?^  \}$", text, re.MULTILINE | re.DOTALL)[0])
    settings = load_settings({"LUCI_HOME": str(tmp_path)})
    assert (settings.min_free, settings.on_interrupt) == (5 << 30, "keep")


def test_every_environment_variable_is_described() -> None:
    """Every one that the source reads."""
    source = "".join(path.read_text() for path in (ROOT / "luci_dl").rglob("*.py"))
    read = set(re.findall(r"""environ(?:\.get\(|\[|, )"(\w+)""", source))
    read |= {key.variable for key in KEYS.values() if key.variable} | {*certificates.FILES, certificates.FOLDERS}
    assert read >= {"LUCI_HOME", "HF_TOKEN", "NO_COLOR", "OLLAMA_REGISTRY"}
    assert {name for name in read if not re.search(rf"\b{name}\b", one_line("environment"))} == set()


def test_every_event_is_described() -> None:
    """Its channel, its sentence, and every field with its type."""
    text = one_line("events")
    for kind in event_types():
        assert f"{kind.event_name()} ({kind.channel}) " in text
        assert kind.__doc__, kind
        assert not kind.__doc__.startswith(f"{kind.__name__}("), f"{kind} has no docstring"
        keys = {field.name: type_name(keys_of(kind)[field.name]) for field in dataclasses.fields(kind)}
        table = " ".join(f"{key} {name}" for key, name in keys.items())
        assert f" {table} " in f"{text} ", kind


def test_the_example_of_an_event_is_one() -> None:
    """With the keys of its class."""
    (example,) = (line for line in topics.lines("events") if line.startswith("  {"))
    event = json.loads(example)
    assert {"event", *shapes.EVENTS["deleted"]} == event.keys()


SHAPES = {shape.__name__: shape for answer in ANSWERS.values() for shape in shapes_in(answer)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_json_key_is_described(shape: type) -> None:
    """With its type and its meaning."""
    text = one_line("json")
    assert f" {shape.__name__}: " in text
    for key, hint in keys_of(shape).items():
        assert len(meaning(hint)) >= 5, key
        assert f" {key} {type_name(hint)}: {meaning(hint)}" in text


def test_every_command_with_json_is_described() -> None:
    """It prints one of the answers, or events."""
    commands = set()
    for name in COMMANDS:
        command = luci_group.get_command(click.Context(luci_group), name)
        parts = command.commands.values() if isinstance(command, click.Group) else [command]
        for part in filter(None, parts):
            if "--json" in {option for param in part.params for option in param.opts}:
                commands.add(name if part is command else f"{name} {part.name}")
    assert commands == {answer.partition(" --")[0] for answer in ANSWERS} | PRINT_EVENTS
    assert [answer for answer in ANSWERS if f" luci {answer} " not in one_line("json")] == []


@pytest.mark.parametrize(
    ("command", "pinned"),
    [
        ("list", [shapes.INSTALLED]),
        ("path", shapes.INSTALLED),
        ("list --available", [shapes.OFFERED]),
        ("search", [shapes.OFFERED]),
        ("catalog list", [shapes.OFFERED]),
        ("info", shapes.INFO),
        ("status", [shapes.RUNNING]),
        ("config list", [shapes.SETTING]),
        ("config get", shapes.SETTING),
        ("config set", shapes.SETTING),
        ("config unset", shapes.SETTING),
        ("catalog check", shapes.CATALOG_CHECK),
        ("catalog add", shapes.CATALOG_ADD),
        ("catalog update", shapes.CATALOG_UPDATE),
    ],
)
def test_what_is_described_is_what_is_printed(command: str, pinned: Any) -> None:
    """Other tests compare the pinned shapes with what the commands print."""
    assert _pins(ANSWERS[command]) == _keys(pinned)


def _pins(hint: Any) -> Any:
    """The keys of the described shapes, at all depths."""
    found = shapes_in(hint)
    return {key: _pins(inner) for key, inner in keys_of(found[0]).items()} if found else None


def _keys(pinned: Any) -> Any:
    """The keys of the pinned shape, at all depths."""
    while isinstance(pinned, list | shapes.Maybe):
        pinned = pinned[0] if isinstance(pinned, list) else pinned.shape
    return {key: _keys(inner) for key, inner in pinned.items()} if isinstance(pinned, dict) else None


def test_every_key_of_a_catalog_is_described() -> None:
    """And the example is a catalog."""
    assert tuple(catalog_topic.MODEL) == MODEL_KEYS
    assert tuple(catalog_topic.FILE) == FILE_KEYS
    described = rows("catalog")
    for key, text in (catalog_topic.MODEL | catalog_topic.FILE).items():
        assert text
        assert described[key] == text
    lines = topics.lines("catalog")
    begin = lines.index("  [[model]]")
    example = "\n".join(line.strip() for line in lines[begin : lines.index("Keys of [[model]]:")])
    (model,) = read_entries(example, "example")
    assert [artifact.role for artifact in model.artifacts] == ["model", "projector"]


def test_every_file_is_described() -> None:
    """Each one beside a target, and those in luci's own folder."""
    kinds = {name for name, value in vars(Staging).items() if isinstance(value, cached_property)}
    assert set(files_topic.STAGING) == kinds
    described = rows("files")
    assert {f"NAME.gguf.{suffix}" for suffix in ("part", "journal", "lock", "receipt")} <= described.keys()
    assert {HISTORY, load_settings({}).file.name, load_settings({}).own_catalog.name} <= described.keys()
    assert [name for name, text in described.items() if not text and not name.startswith("luci ")] == []
