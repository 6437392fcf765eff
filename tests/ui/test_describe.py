from __future__ import annotations

import pytest

from luci_dl.events import (
    Cleaned,
    Deleted,
    Event,
    Failed,
    Installed,
    Kept,
    NotDeleted,
    Planned,
    Progress,
    Retrying,
    Started,
    Stopped,
    Summary,
    VerifySummary,
    Waiting,
    Warned,
    event_types,
)
from luci_dl.ui.describe import describe
from luci_dl.ui.plain import plain
from tests.ui.samples import GB, LLAMA, MISTRAL, samples

NEWER = """⚠️  a.gguf and 1 more file is installed, but a newer version exists
   Run the install command again with --force to replace it"""

ELSEWHERE = """⚠️  a.gguf and 1 more file is installed from another address, which may have had another file
   Replace it with --force, or install both with -o NAME"""


def text_of(*events: Event) -> str:
    return "\n".join(line for event in events for line in describe(event))


def test_the_interrupt_messages_are_exact() -> None:
    """An interrupt with one partial file reads exactly like this, byte by byte."""
    assert text_of(Stopped(2), Deleted(f"OWNER/REPO/{MISTRAL}")).encode() == (
        b"\xe2\x9a\xa0\xef\xb8\x8f  Download interrupted by user\n"
        b"\xf0\x9f\x97\x91\xef\xb8\x8f  Deleted partial download: mistral-7b-instruct-v0.2.Q4_K_M.gguf\n"
        b"   Run the install command again to restart"
    )


def test_a_partial_file_that_cannot_be_deleted_is_shown_with_reason_and_path() -> None:
    """The reason is the system's, and the path is the real one."""
    path = f"/home/me/.luciferai/models/.luci/{MISTRAL}.part"
    assert text_of(Stopped(2), NotDeleted(MISTRAL, "Permission denied", path)) == (
        "⚠️  Download interrupted by user\n"
        "⚠️  Could not delete partial file: Permission denied\n"
        f"📦 Partial file at: {path}"
    )


def test_a_kept_partial_file_says_how_far_it_is_and_how_to_resume() -> None:
    """As a percentage of the whole file."""
    assert text_of(Kept(f"a/{LLAMA}", 87, 100)) == (
        f"📦 Kept partial download: {LLAMA} (87 %)\n   Run the install command again to resume"
    )


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Started(LLAMA, 2 * GB, 0), f"📥 Downloading {LLAMA}...  0% | Starting fresh"),
        (Started(LLAMA, 2 * GB, 1_740_000_000), f"📥 Downloading {LLAMA}...  Resuming at 87 % (1.7 GB verified)"),
        (Started(LLAMA, None, 1_740_000_000), f"📥 Downloading {LLAMA}...  Resuming at 1.7 GB (verified)"),
        (Progress(LLAMA, GB, 2 * GB, 98e6), f"📥 Downloading {LLAMA}...  50% | 1.0GB/2.0GB | 98MB/s | 0:11 left"),
        (Progress(LLAMA, GB, None, 98e6), f"📥 Downloading {LLAMA}...  1.0GB | 98MB/s"),
        (Progress(LLAMA, GB, 2 * GB, 0.0), f"📥 Downloading {LLAMA}...  50% | 1.0GB/2.0GB"),
        (Retrying(LLAMA, "connection reset", 8.2, 2, 10), f"Retrying in 8 s: connection reset (2 of 10) | {LLAMA}"),
        (
            Waiting(LLAMA, 4242, "host", "some time", "luci install mistral", 63, 100, 0.3),
            "Waiting for pid 4242 on host (luci install mistral) since some time, 63 %",
        ),
        (Waiting(LLAMA, 7, None, None, None, 60, 7260, 1.0), "Waiting for pid 7, 0 %, 2 h left"),
        (Waiting(LLAMA, None, None, None, None, None, None, None), "Waiting for another process"),
        (Planned(("a",), GB, False), ""),
        (Planned(("a", "b"), GB, True), "Installing 2 models, at least 1.0GB"),
        (Failed("x", "no such model\nat all", "try this", 3), "❌ no such model\n   at all\n   try this"),
        (Warned("careful"), "⚠️  careful"),
        (Cleaned("/m/.luci/a.part", "part", 1_200_000_000, False), "Removed /m/.luci/a.part (1.2GB)"),
        (Cleaned("/m/.luci/a.part", "part", 1_200_000_000, True), "Would remove /m/.luci/a.part (1.2GB)"),
    ],
)
def test_the_sentence_of(event: Event, text: str) -> None:
    """Each kind of event has its sentence."""
    assert text_of(event) == text


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ("downloaded", "✅ Installed a.gguf and 1 more file (2.0GB, 98MB/s)"),
        ("already", "✅ a.gguf and 1 more file is already installed"),
        (
            "renewed",
            "✅ a.gguf and 1 more file is already installed; its small files (template, parameters, licences) are new",
        ),
        ("adopted", "✅ Adopted a.gguf and 1 more file: it was there already, and is right"),
        ("newer", NEWER),
        ("elsewhere", ELSEWHERE),
    ],
)
def test_an_installed_model_says_how_it_was_installed(outcome: str, text: str) -> None:
    """Downloaded, already there, adopted, or to be replaced with --force."""
    assert text_of(Installed("a", ("/m/a.gguf", "/m/b.gguf"), 2 * GB, outcome, 1_960_000_000, 20.0)) == text


def test_the_summary_lists_the_outcome_of_each_model() -> None:
    """Installed, interrupted, failed and why, not started; empty groups are left out."""
    assert text_of(Summary(("a", "b"), ("c",), (("d", "no\nroom"), ("e", "wrong bytes")), ())) == (
        "Summary:\n   Installed: a, b\n   Interrupted: c\n   Failed: d: no room\n   Failed: e: wrong bytes"
    )


@pytest.mark.parametrize("event", samples("evil\x1b[2J\u202e.gguf", "bad\x1b]0;title\x07\r\nnews"), ids=str)
def test_text_from_outside_cannot_control_the_terminal(event: Event) -> None:
    """Escape sequences, bells and reversed text are shown as escapes."""
    assert all(line.isprintable() for line in map(_without_selector, describe(event)))


def test_every_emoji_has_plain_words() -> None:
    """Where emoji cannot be shown, each line still says what it is, in ASCII."""
    assert all(plain(line).isascii() for event in samples() for line in describe(event))
    assert [plain(line) for line in describe(Stopped(2))] == ["Warning: Download interrupted by user"]
    assert plain(describe(Deleted(LLAMA))[0]) == f"Deleted partial download: {LLAMA}"
    assert plain(describe(Failed("", "no", "", 1))[0]) == "Error: no"


def test_every_event_is_sampled() -> None:
    """A new kind of event must be added to the samples, and so to these tests."""
    assert {type(event) for event in samples()} == set(event_types())


@pytest.mark.parametrize("event", samples(), ids=lambda event: event.event_name())
def test_every_event_has_a_sentence(event: Event) -> None:
    """Only the end of `verify` with wrong files, and a plan of one model, have none."""
    silent = isinstance(event, VerifySummary) and event.wrong
    assert bool(describe(event)) is not silent


def _without_selector(line: str) -> str:
    return line.replace("\ufe0f", "")
