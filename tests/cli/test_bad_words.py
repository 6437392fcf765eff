"""Words that mean nothing: refused before the first byte, and nothing is created on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import DATA, Shop, assert_nothing_left, assert_refused, sha256
from tests.procs import luci

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["mistrall"], 3, "did you mean mistral"),
        (["mistral", "nosuchthing", "neither-this"], 3, "neither-this"),
        (["cor", "models"], 3, "did you mean `core models`?"),
        (["vision"], 3, "did you mean `vision models`?"),
        (["hf:owner"], 2, "OWNER/REPO"),
        (["mistrl", "hf:owner/repo", "ollama:llama3.2"], 3, "mistrl"),
        ([""], 2, "one of the words is empty"),
        (["mistral", "  "], 2, "one of the words is empty"),
        (["models"], 2, "`models` must follow the name of a group"),
        (["ftp://h/a.gguf"], 2, "must begin with https://"),
        (["https://h"], 2, "has no file name"),
        (["https://h/a/"], 2, "has no file name"),
        (["https://h/../a.gguf"], 2, '".." in its path'),
        (["https://h/%2e%2e/a.gguf"], 2, '".." in its path'),
        (["https://h/a%2fb.gguf"], 2, "slash"),
        (["https://h/a%00.gguf"], 2, "control character"),
        (["https://h/a%1b[31m.gguf"], 2, "control character"),
        (["https://h/a\x1b[31m.gguf"], 2, r"\x1b"),
        (["https://h/.hidden"], 2, "begins with a dot"),
        (["https://h/a.part"], 2, "ends in .part"),
        (["https://h/" + "a" * 300], 2, "too long"),
        (["https://h:99999/a.gguf"], 2, "bad host or port"),
        (["https://h/a.gguf#sha256=12"], 2, "64 hex digits, found 2"),
        (["https://h/a.gguf#sha256=" + "g" * 64], 2, '"g"'),
        (["https://h/a.gguf", "--sha256", "12"], 2, "64 hex digits, found 2"),
        (["https://h/a.gguf", "-o", "b/c"], 2, "without folders"),
        (["https://h/a.gguf", "-o", "../b"], 2, "without folders"),
        (["https://h/a.gguf", "-o", ".b"], 2, "begins with a dot"),
        (["mistral", "phi-3", "-o", "b"], 2, "one reference to a single file"),
        (["mistral", "--sha256", DIGEST], 2, "known to be another file"),
        ([f"https://h/a.gguf#sha256={DIGEST}", "https://g/a.gguf#sha256=" + "b" * 64], 2, "both write a.gguf"),
        (["http://example.com/a.gguf"], 2, "plain http and no digest"),
    ],
)
def test_invalid_words_are_refused(words: list[str], code: int, said: str, home: Path) -> None:
    """One message, which says what is wrong and what to do; not even a folder is created."""
    assert_refused(luci("install", *words), code, said)
    assert_nothing_left(home / "models")


def test_a_misspelt_word_spares_the_others_bytes(shop: Shop, models: Path) -> None:
    """All words are resolved before the first byte."""
    shop.sell("good")
    assert_refused(luci("install", "good", "goood"), 3, "did you mean good")
    assert not shop.server.exchanges()
    assert not models.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[model]", "is not TOML"),
        ("\xff\x00", "is not UTF-8"),
        ('[[model]]\nname = "a"\ncolour = "red"', "unknown key"),
        ('[[model]]\nname = "a"', "expected at least one [[model.file]]"),
        ('[[model]]\nname = "core"\n[[model.file]]\nfilename = "a"\nurl = "https://h/a"', "reserved"),
        ('[[model]]\nname = "a"\n[[model.file]]\nfilename = "../a"\nurl = "https://h/a"', "could leave the models"),
        ('[[model]]\nname = "a"\n[[model.file]]\nfilename = "/etc/a"\nurl = "https://h/a"', "begins with a slash"),
        ('[[model]]\nname = "a"\n[[model.file]]\nfilename = "a"\nurl = "file:///etc/passwd"', "must begin with https"),
        ('[[model]]\nname = "a\\u001b[31m"\n', r"\x1b"),
        ('[[model]]\nname = "a"\naliases = ["A"]\n[[model.file]]\nfilename = "a"\nurl = "https://h/a"', "twice"),
    ],
)
@pytest.mark.parametrize("command", ["install", "info"])
def test_a_bad_catalog_is_named_with_its_place(
    command: str, text: str, said: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 for every command that reads it."""
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    monkeypatch.setenv("LUCI_CATALOG", str(file))
    assert_refused(luci(command, "a"), 2, said, "catalog.toml")
    assert not home.exists()


def test_a_catalog_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and a folder."""
    assert_refused(luci("list", "-a", env={"LUCI_CATALOG": str(tmp_path / "none")}), 2, "No such file", "LUCI_CATALOG")
    assert_refused(luci("list", "-a", env={"LUCI_CATALOG": str(tmp_path)}), 2, "Is a directory")


def test_plain_http_is_allowed_with_a_digest_and_on_loopback(shop: Shop, models: Path) -> None:
    """The digest in the address is enough; without one, the message has the digest that was found."""
    url = shop.server.serve("/a.gguf", DATA)
    assert luci("install", f"{url}#sha256={sha256(DATA)}").returncode == 0
    ended = luci("install", url, "-o", "b.gguf")
    assert ended.returncode == 0
    assert sha256(DATA) in ended.stderr
    assert_nothing_left(models, "a.gguf", "b.gguf")


@pytest.mark.parametrize("header", ["Authorization s3cr3t", "Auth orization: s3cr3t", "X: a\ns3cr3t", "X: s3cr3t€"])
def test_a_header_that_cannot_be_sent_is_refused(header: str) -> None:
    """Before a server is asked; its value is not shown."""
    ended = luci("install", "http://127.0.0.1:1/m.gguf", "--header", header)
    assert ended.returncode == 2
    assert "--header" in ended.stderr
    assert "s3cr3t" not in ended.stderr
