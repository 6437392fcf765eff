from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.catalog.entries import examine, read_entries
from luci_dl.errors import UsageError
from luci_dl.model import Digest

SHA = "a1" * 32
FILE = '[[model.file]]\nfilename = "a.gguf"\nurl = "https://h/a.gguf"\n'
MODEL = f'[[model]]\nname = "mine"\n{FILE}'


def with_key(line: str) -> str:
    """A model with one more line of its own."""
    return MODEL.replace('name = "mine"\n', f'name = "mine"\n{line}\n')


def test_every_key_is_read() -> None:
    """An entry with every key that exists."""
    (model,) = read_entries(
        f"""
        [[model]]
        name = "mine"
        aliases = ["m", "Mine-7B"]
        tier = 2
        groups = ["core", "vision"]
        license = "mit"
        [[model.file]]
        filename = "sub/a.gguf"
        url = "https://me:pw@h/a.gguf"
        size = 1_000
        sha256 = "{SHA.upper()}"
        lfs_pointer_sha1 = "{SHA[:40]}"
        blob_sha1 = "{SHA[:40].upper()}"
        [[model.file]]
        filename = "mmproj-a.gguf"
        url = "https://h/mmproj-a.gguf"
        role = "projector"
        """,
        "my.toml",
    )
    assert (model.reference, model.aliases, model.tier) == ("mine", ("m", "Mine-7B"), 2)
    assert (model.groups, model.license) == (("core", "vision"), "mit")
    first, second = model.artifacts
    assert (first.name, first.urls, first.size) == ("sub/a.gguf", ("https://h/a.gguf",), 1000)
    assert (first.sha256, first.role) == (SHA, "model")
    assert first.digests == {Digest.LFS_POINTER: SHA[:40], Digest.GIT_BLOB: SHA[:40]}
    assert set(first.headers) == {"Authorization"}
    assert (second.size, second.sha256, second.role, second.headers) == (None, None, "projector", {})


@pytest.mark.parametrize("revision", ["main", "refs%2Fpr%2F1", "0123456789" * 4])
def test_a_pinned_file_comes_from_its_commit(revision: str) -> None:
    """Whatever revision its address names."""
    address = "https://huggingface.co/O/R/resolve/{}/sub/a%20b.gguf?x=1"
    text = MODEL.replace("https://h/a.gguf", address.format(revision)) + f'commit = "{SHA[:40].upper()}"'
    (model,) = read_entries(text, "my.toml")
    assert model.artifacts[0].urls == (address.format(SHA[:40]),)


def test_all_problems_are_reported_at_once() -> None:
    """One line each, in the order of the file; sound models are still read."""
    broken = (
        with_key("tier = -1").replace('"a.gguf"', '"../a"')
        + "size = true\n"
        + f'commit = "x"\n{FILE}[[model]]\nx = 1\n'
    )
    models, problems = examine(broken + MODEL.replace("mine", "sound"), "my.toml")
    assert [model.reference for model in models] == ["sound"]
    expected = [
        "my.toml, model mine, tier: expected zero",
        "my.toml, model mine, file ../a, filename",
        "my.toml, model mine, file ../a, commit",
        "my.toml, model mine, file ../a, size",
        "my.toml, model 2, x: unknown",
        "my.toml, model 2, name: ",
        "my.toml, model 2, file: expected at least one",
    ]
    assert [problem[: len(begin)] for problem, begin in zip(problems, expected, strict=True)] == expected
    with pytest.raises(UsageError) as caught:
        read_entries(broken, "my.toml")
    assert caught.value.message == problems[0]
    assert "6 more: luci catalog check my.toml" in caught.value.hint


def test_an_empty_file_has_no_models() -> None:
    """That is not an error."""
    assert read_entries("# soon\n", "my.toml") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = [", ["is not TOML"]),
        ("a = " + "[" * 5000, ["is not TOML"]),
        ("x = '\x1b'", ["is not TOML"]),
        ("models = 1", ["models", "unknown key", "model"]),
        ("model = 1", ["model", "a list", "1"]),
        ("model = [1]", ["model", "a table", "1"]),
        (FILE.replace("model.file", "model"), ["model 1", "filename", "unknown key"]),
        (f"[[model]]\n{FILE}", ["model 1", "name", "a text", "missing"]),
        ('[[model]]\nname = "mine"', ["model mine", "file", "at least one"]),
        (with_key("tiers = 1"), ["model mine", "tiers", "unknown key", "tier"]),
        (with_key('tier = "1"'), ["model mine", "tier", "a whole number", "'1'"]),
        (with_key("tier = true"), ["tier", "a whole number", "True"]),
        (with_key("tier = -1"), ["tier", "zero or more", "-1"]),
        (with_key('aliases = "x"'), ["aliases", "a list", "'x'"]),
        (with_key("aliases = [1]"), ["aliases", "a text", "1"]),
        (with_key('aliases = ["a b"]'), ["aliases", "spaces", "'a b'"]),
        (with_key('aliases = [""]'), ["aliases", "a word", "''"]),
        (with_key('aliases = ["-x"]'), ["aliases", "dash"]),
        (with_key('aliases = ["hf:x"]'), ["aliases", '":"']),
        (with_key('aliases = ["a\\u001bb"]'), ["aliases", "control characters", r"\x1b"]),
        (with_key('aliases = ["a\\u202eb"]'), ["aliases", "control characters", r"\u202e"]),
        (with_key('aliases = ["All"]'), ["aliases", "reserved", "'All'"]),
        (with_key('aliases = ["x", "X"]'), ['"X" appears twice', "mine"]),
        (with_key('aliases = ["MINE"]'), ['"MINE" appears twice']),
        (with_key('groups = ["models"]'), ["groups", "reserved", "'models'"]),
        (with_key('groups = ["a/b"]'), ["groups", '"/"']),
        (with_key("license = 1"), ["license", "a text", "1"]),
        (MODEL.replace("mine", "core"), ["model core", "name", "reserved"]),
        (MODEL.replace("mine", "models"), ["name", "reserved"]),
        (MODEL + MODEL, ['"mine" appears twice', "in model mine and in model mine"]),
        (MODEL + MODEL.replace("mine", "Mine"), ['"Mine" appears twice', "in model mine and in model Mine"]),
        (MODEL + with_key('aliases = ["MINE"]').replace('"mine"', '"other"'), ["mine", "other", "twice"]),
        (MODEL + FILE, ["model mine", "file", "twice"]),
        (MODEL + FILE.replace("a.gguf", "A.GGUF"), ["model mine", "file", "twice"]),
        (MODEL + "sha = 1", ["model mine", "file a.gguf", "sha", "unknown key", "sha256"]),
        (MODEL + 'sha256 = "ab"', ["file a.gguf", "sha256", "64 hex digits", "found 2"]),
        (MODEL + 'sha256 = ""', ["sha256", "64 hex digits", "found 0"]),
        (MODEL + f'sha256 = "{"z" * 64}"', ["sha256", "64 hex digits", '"z"']),
        (MODEL + f'lfs_pointer_sha1 = "{SHA}"', ["lfs_pointer_sha1", "40 hex digits", "found 64"]),
        (MODEL + f'commit = "{SHA}"', ["file a.gguf", "commit", "40 hex digits", "found 64"]),
        (MODEL + f'commit = "{SHA[:40]}"', ["file a.gguf", "commit", "/resolve/", "https://h/a.gguf"]),
        (MODEL + "size = -1", ["size", "zero or more", "-1"]),
        (MODEL + f"size = {10**19}", ["size", "at most 1000000000000000000", f"{10**19}"]),
        (MODEL + "size = true", ["size", "a whole number", "True"]),
        (MODEL + "size = 1.5", ["size", "a whole number", "1.5"]),
        (MODEL + 'role = "mmproj"', ["role", "projector", "'mmproj'"]),
        (MODEL.replace("https", "ftp"), ["file a.gguf", "url", "https://"]),
        (MODEL.replace("https://h/", ""), ["url", "https://", "a.gguf"]),
        (MODEL.replace("h/a.gguf", f"h/a.gguf#sha256={SHA}"), ["url", "without #sha256="]),
        (MODEL.replace('"a.gguf"', '"../a.gguf"'), ["filename", "could leave the models folder"]),
        (MODEL.replace('"a.gguf"', '"/a.gguf"'), ["filename", "relative to the models folder"]),
        (MODEL.replace('filename = "a.gguf"\n', ""), ["file 1", "filename", "missing"]),
        ('[[model]]\nname = "mine"\n[[model.file]]\nfilename = "a.gguf"', ["file a.gguf", "url", "missing"]),
    ],
)
def test_a_broken_catalog_says_what_is_broken_and_where(text: str, words: list[str]) -> None:
    """The message names the file, the entry, the key, what was expected and what was found, safe to print."""
    with pytest.raises(UsageError) as caught:
        read_entries(text, "my.toml")
    message = caught.value.message
    assert message.startswith("my.toml")
    assert [word for word in words if word not in message] == []
    assert message.isprintable()


@given(place=st.integers(0, len(MODEL)), cut=st.integers(0, 20), inserted=st.text(max_size=20))
def test_a_damaged_catalog_is_read_or_reported(place: int, cut: int, inserted: str) -> None:
    """Whatever was deleted or inserted."""
    models, problems = examine(MODEL[:place] + inserted + MODEL[place + cut :], "my.toml")
    assert all(problem.startswith("my.toml") and problem.isprintable() for problem in problems)
    assert all(model.artifacts for model in models)
