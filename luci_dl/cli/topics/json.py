"""`luci help json`, from the shapes of cli/json_shapes.py."""

from __future__ import annotations

from collections.abc import Iterator

from luci_dl.cli.json_shapes import ANSWERS
from luci_dl.cli.topics.json_types import keys_of, shapes_in, type_name
from luci_dl.cli.topics.layout import block, first_paragraph, heading, table, text


def lines() -> Iterator[str]:
    """The text of the topic."""
    yield from text(
        "With --json, stdout has nothing but JSON, in ASCII. `help`, `completion` and `shell` are for people and have "
        "no --json. A command that answers a question prints its answer on one line (`luci status --watch` one line "
        "per second). All others print events, one per line: see `luci help events`."
    )
    yield from text(
        "Sizes are in bytes, rates in bytes per second, durations in seconds, times in ISO 8601 and UTC; paths are "
        "absolute. null means unknown; a text that does not apply is empty. Later versions may add keys and events, "
        "but neither remove them nor change their meaning."
    )
    yield from text(
        "If a command fails, it prints the event `failed`, and its exit code is `exit_code`. If it is interrupted, it "
        "prints the event `stopped`."
    )
    yield from block(
        "luci list --json | jq -r '.[].path'\n"
        "luci install llama3.2 --json | jq -r 'select(.event == \"progress\") | .done'"
    )
    yield from heading("Answers")
    yield from table((f"luci {command}", type_name(answer)) for command, answer in ANSWERS.items())
    for shape in dict.fromkeys(shape for answer in ANSWERS.values() for shape in shapes_in(answer)):
        yield from text(f"{shape.__name__}: {first_paragraph(shape.__doc__)}")
        yield from table((key, f"{type_name(hint)}: {meaning(hint)}") for key, hint in keys_of(shape).items())


def meaning(hint: object) -> str:
    """What the annotation of a key says. Raises: AttributeError, IndexError, if it has none."""
    return str(hint.__metadata__[0])  # type: ignore[attr-defined]
