from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.text import (
    counted,
    distinct_address,
    has_hidden_query,
    human_size,
    printable,
    public_address,
    public_text,
    quoted,
    shown,
    time_of_day,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mistral 7b", "mistral 7b"),
        ("Modèle-große 模型 📥", "Modèle-große 模型 📥"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("gguf\u202efdp", r"gguf\u202efdp"),
        ("\u2028\u2066", r"\u2028\u2066"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    """Letters and emoji stay; everything else is escaped."""
    assert printable(text) == shown


@given(st.text())
def test_every_text_becomes_printable(text: str) -> None:
    """No control character gets through."""
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"),
        (512, "512B"),
        (999, "999B"),
        (1000, "1.0kB"),
        (9_800_000, "9.8MB"),
        (9_960_000, "10MB"),
        (98_000_000, "98MB"),
        (999_400_000, "999MB"),
        (999_600_000, "1.0GB"),
        (2_019_377_696, "2.0GB"),
        (40_000_000_000, "40GB"),
        (3_000_000_000_000_000, "3000TB"),
    ],
)
def test_a_size_is_shown_in_the_unit_that_fits(size: int, shown: str) -> None:
    """Decimal units, one decimal below ten, and never 1000 of a unit that has a larger one."""
    assert human_size(size) == shown


def test_an_unexpected_value_is_shown_briefly_and_safely() -> None:
    """The type can be seen from the notation."""
    assert [shown(value) for value in (1, "1", True, "\x1b")] == ["1", "'1'", "True", r"'\x1b'"]
    assert len(shown("x" * 1000)) == 80


def test_a_noun_is_plural_unless_there_is_one() -> None:
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_a_time_is_local_with_the_date_unless_today() -> None:
    """The input is in UTC; text that is not a time is unchanged."""
    now = datetime.now(UTC)
    local = now.astimezone()
    assert time_of_day(now.isoformat(), now=local) == local.strftime("%H:%M")
    assert time_of_day(now.isoformat(), now=local + timedelta(days=2)) == local.strftime("%Y-%m-%d %H:%M")
    assert time_of_day("yesterday") == "yesterday"


def test_bytes_are_quoted_as_text() -> None:
    """Without Python's prefix, and with control characters escaped."""
    assert (quoted(b"<htm"), quoted(b"\x1b\xff'")) == ("'<htm'", r'''"\x1b\xff'"''')


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://host/a.gguf", "https://host/a.gguf"),
        ("https://me:secret@host:8443/a.gguf?token=secret#secret", "https://host:8443/a.gguf"),
        ("https://host?token=secret", "https://host"),
        ("https://me:sec/ret@host/a.gguf", "https://host/a.gguf"),
        ("https://me:sec#ret@host/a.gguf", "https://host/a.gguf"),
        ("https://me:@sec:ret@host/a.gguf", "https://host/a.gguf"),
        ("https://me:secret@[::1]:80/a.gguf?x", "https://[::1]:80/a.gguf"),
        ("https://host/@user/a@b.gguf", "https://host/@user/a@b.gguf"),
        ("socks5://me:secret@proxy:1080", "socks5://proxy:1080"),
        ("hf:OWNER/REPO@main:Q4_K_M", "hf:OWNER/REPO@main:Q4_K_M"),
        ("file:///models/a?b#c.gguf", "file:///models/a?b#c.gguf"),
    ],
)
def test_a_public_address_has_no_credentials_and_no_query(url: str, public: str) -> None:
    """Malformed ones neither; a reference or a path that is no address is unchanged."""
    assert public_address(url) == public
    assert public_text(f'"{url}": {url}, ({url}).') == f'"{public}": {public}, ({public}).'


@pytest.mark.parametrize(
    ("word", "public"),
    [
        ("hf:o/r?token=s3cr3t", "hf:o/r?..."),
        ("hf:o/r:Q4_K_M?a=1&X-Signature=s3cr3t", "hf:o/r:Q4_K_M?..."),
        ("example.com/m.gguf?sig=s3cr3t%2F", "example.com/m.gguf?..."),
        ("me:s3cr3t@example.com/m.gguf", "example.com/m.gguf"),
        ("//me:s3cr3t@example.com/m.gguf?sig=s3cr3t", "//example.com/m.gguf?..."),
        ("hf:o/r#token=s3cr3t", "hf:o/r#..."),
        ("hf:o/r#sha256=abc", "hf:o/r#sha256=abc"),
        ("ollama:me:s3cr3t@host.example:80/m", "host.example:80/m"),
        ("hf:o/r@v1/m.gguf", "hf:o/r@v1/m.gguf"),
        ("hf:o@v1.0/m.gguf", "hf:o@v1.0/m.gguf"),
        ("m?.gguf", "m?.gguf"),
        ("did you mean mistral?", "did you mean mistral?"),
    ],
)
def test_an_address_without_its_scheme_becomes_public(word: str, public: str) -> None:
    """What is malformed is shown in errors, and may have a secret where an address has one."""
    assert public_text(f'expected A, found "{word}"; {word}') == f'expected A, found "{public}"; {public}'
    assert public_text(public) == public


def test_addresses_that_differ_in_the_query_alone_stay_distinct() -> None:
    """A short hash replaces the query, and is kept wherever the text is shown later."""
    one, other = (distinct_address(f"https://me:secret@host/a.gguf?token={token}") for token in ("secret", "other"))
    assert one.startswith("https://host/a.gguf?...")
    assert "secret" not in one
    assert one != other
    assert distinct_address(one) == one == public_text(one)
    assert has_hidden_query(one)
    assert not has_hidden_query("https://host/a.gguf?token=secret")
    assert distinct_address("https://host/a.gguf?#sha256=0") == "https://host/a.gguf"


@given(st.text())
def test_making_text_public_twice_changes_nothing_more(text: str) -> None:
    """Whatever the text is, also behind an address."""
    for odd in (text, f"https://{text}", f"https://host/{text}?{text}"):
        assert public_text(public_text(odd)) == public_text(odd)
        assert distinct_address(distinct_address(odd)) == distinct_address(odd)
