from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.catalog.catalog import Catalog, load, load_for
from luci_dl.catalog.entries import RESERVED, words_of
from luci_dl.errors import UsageError
from luci_dl.model import Digest, lfs_pointer_sha1
from luci_dl.names import target_key

CORE = ["tinyllama", "llama3.2", "mistral-7b", "deepseek-coder"]


@pytest.fixture(scope="module")
def built_in() -> Catalog:
    """luci's own catalog."""
    return load()


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    """A catalog of the user's: one name and two aliases that the built-in has too, and one model more."""
    path = tmp_path / "my.toml"
    entry = '[[model]]\nname = "{}"\naliases = [{}]\n[[model.file]]\nfilename = "{}.gguf"\nurl = "https://h/{}.gguf"\n'
    path.write_text(
        entry.format("Mistral-7B", "", "m", "m")
        + entry.format("other", '"tiny", "llama3.2"', "o", "o")
        + entry.format("deepseek", "", "d", "d")
    )
    return path


def test_the_built_in_catalog_keeps_its_promises(built_in: Catalog) -> None:
    """76 models of 79 files, each at its own target and on https, with the digests and groups that are known."""
    artifacts = [artifact for model in built_in.models for artifact in model.artifacts]
    words = [word.casefold() for model in built_in.models for word in words_of(model)]
    assert len(built_in.models) == 183
    assert len(artifacts) == 346
    assert len({target_key(artifact.name) for artifact in artifacts}) == 346
    assert len(set(words)) == len(words)
    assert not set(RESERVED) & set(words)
    assert all(url.startswith("https://huggingface.co/") for artifact in artifacts for url in artifact.urls)
    assert sum(artifact.sha256 is not None for artifact in artifacts) == 329
    assert sum(artifact.expected(Digest.LFS_POINTER) is not None for artifact in artifacts) == 23
    assert sum(artifact.size is not None for artifact in artifacts) == 72
    assert {model.tier for model in built_in.models} == {0, 1, 2, 3, 4}
    seed = {"all", "core", "modern", "code", "test", "reasoning", "vision", "embedding"}
    assert set(built_in.groups) == seed | {"everything", "small", "medium", "large", "speech"}


def test_digest_and_pointer_of_a_built_in_file_agree(built_in: Catalog) -> None:
    """Where both are known, one implies the other."""
    both = [
        (artifact, artifact.sha256, artifact.size)
        for model in built_in.models
        for artifact in model.artifacts
        if artifact.expected(Digest.LFS_POINTER) and artifact.sha256 and artifact.size
    ]
    assert [
        a.name for a, sha256, size in both if lfs_pointer_sha1(sha256, size) != a.expected(Digest.LFS_POINTER)
    ] == []


def test_vision_models_have_their_projector_last(built_in: Catalog) -> None:
    """A loader is given the first file, which is never the projector."""
    roles = [[artifact.role for artifact in model.artifacts] for model in built_in.group("vision") or ()]
    assert len(roles) > 40
    assert all(rest[0] == "model" and rest[-1] == "projector" and rest.count("projector") == 1 for rest in roles)


def test_every_name_and_alias_finds_its_model(built_in: Catalog) -> None:
    """Case does not matter."""
    for model in built_in.models:
        assert all(built_in.find(word) is built_in.find(word.upper()) is model for word in words_of(model))
    assert built_in.find("no-such-model") is None


def test_groups_have_their_members_in_order(built_in: Catalog) -> None:
    """Core as the design lists it; all has core first, then the tiers from 4 down to 0."""
    assert [model.reference for model in built_in.group("CORE") or ()] == CORE
    everything = built_in.group("all") or ()
    assert [model.reference for model in everything[:4]] == CORE
    tiers = [model.tier or 0 for model in everything[4:]]
    assert tiers == sorted(tiers, reverse=True)
    assert len(everything) == 76
    assert built_in.group("no-such-group") is None


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("mistrl", "mistral"), ("LAMA3.2", "llama3.2"), ("tinylama", "tinyllama"), ("phi-22", "phi-2")],
)
def test_a_misspelt_name_gets_suggestions(built_in: Catalog, word: str, nearest: str) -> None:
    """At most three, the most similar first, each of a different model."""
    near = built_in.suggest(word)
    assert near[0] == nearest
    assert len({model.reference for model in map(built_in.find, near) if model}) == len(near) <= 3


def test_nothing_is_suggested_for_a_word_like_no_other(built_in: Catalog) -> None:
    """A long word does not take long either."""
    assert built_in.suggest("xyzzy" * 100_000) == ()


def test_the_users_entries_override_built_in_ones(built_in: Catalog, user_file: Path) -> None:
    """An entry of the same name replaces the built-in one; a word that both have means the user's."""
    catalog = load(user_file)
    assert len(catalog.models) == 185
    files = {word: (catalog.find(word) or built_in.models[0]).artifacts[0].name for word in ("tiny", "llama3.2")}
    assert files == {"tiny": "o.gguf", "llama3.2": "o.gguf"}
    found = [catalog.find(word) for word in ("mistral-7b", "deepseek", "tinyllama", "llama-3.2")]
    assert [model and model.reference for model in found] == ["Mistral-7B", "deepseek", "tinyllama", "llama3.2"]
    assert [catalog.find(word) for word in ("mistral", "mistral-7b-instruct")] == [catalog.find("mistral-7b")] * 2
    assert [model.reference for model in catalog.models[:4]] == [
        "tinyllama",
        "llama3.2",
        "Mistral-7B",
        "deepseek-coder",
    ]


def test_an_entry_inherits_what_it_lacks_from_the_built_in_one_it_replaces(tmp_path: Path) -> None:
    """Aliases, groups and tier, so that `core models` stays complete; not the licence, because the files differ."""
    path = tmp_path / "my.toml"
    files = '[[model.file]]\nfilename = "m.gguf"\nurl = "https://h/m.gguf"\n'
    path.write_text(f'[[model]]\nname = "mistral-7b"\n{files}[[model]]\nname = "LLAMA3.2"\naliases = ["ll"]\n{files}')
    catalog = load(path)
    mistral, llama = catalog.find("mistral"), catalog.find("llama3.2")
    assert mistral is not None
    assert llama is not None
    assert (mistral.aliases, mistral.groups) == (("mistral", "mistral-7b-instruct"), ("core",))
    assert (mistral.tier, mistral.license, mistral.artifacts[0].name) == (2, None, "m.gguf")
    assert [model.reference for model in catalog.group("core") or ()] == [*CORE[:1], "LLAMA3.2", *CORE[2:]]
    assert (llama.aliases, catalog.find("ll"), catalog.find("llama-3.2")) == (("ll",), llama, None)


def test_a_word_of_one_entry_is_not_inherited_by_another(tmp_path: Path) -> None:
    """In either order."""
    path = tmp_path / "my.toml"
    files = '[[model.file]]\nfilename = "m.gguf"\nurl = "https://h/m.gguf"\n'
    path.write_text(
        f'[[model]]\nname = "mistral-7b"\n{files}[[model]]\nname = "tinyllama"\naliases = ["mistral"]\n{files}'
    )
    catalog = load(path)
    found = catalog.find("mistral")
    assert found is not None
    assert found.reference == "tinyllama"
    assert [model.aliases for model in catalog.models if model.reference == "mistral-7b"] == [("mistral-7b-instruct",)]


def test_a_model_does_not_list_an_alias_that_another_took(user_file: Path) -> None:
    """What the user's entry took from a built-in one is listed once."""
    catalog = load(user_file)
    for model in catalog.models:
        assert [alias for alias in model.aliases if catalog.find(alias) is not model] == []


def test_a_model_without_tier_comes_last(user_file: Path) -> None:
    """After those with a known tier."""
    assert [model.reference for model in (load(user_file).group("all") or ())[-2:]] == ["other", "deepseek"]


@pytest.mark.parametrize("kind", ["missing", "folder", "not UTF-8", "without end"])
def test_a_catalog_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    """The user named it, so a missing file is an error."""
    path = tmp_path / "my.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "not UTF-8":
        path.write_bytes(b"\xff")
    elif kind == "without end":
        path.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"cannot read the catalog .*my\.toml") as caught:
        load(path)
    assert ("UTF-8" if kind == "not UTF-8" else "LUCI_CATALOG") in caught.value.hint


def test_a_pipe_that_nobody_writes_to_is_an_empty_catalog(tmp_path: Path, built_in: Catalog) -> None:
    """It is not waited for; one that a shell fills (`<(...)`) is read to its end."""
    os.mkfifo(tmp_path / "my.toml")
    assert load(tmp_path / "my.toml").models == built_in.models
    end, fd = os.pipe()
    os.write(fd, b'[[model]]\nname = "mine"\n[[model.file]]\nfilename = "a.gguf"\nurl = "https://h/a.gguf"\n')
    os.close(fd)
    assert load(Path(f"/dev/fd/{end}")).find("mine")
    os.close(end)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_catalog_may_come_from_any_editor(tmp_path: Path, encoding: str) -> None:
    """With a byte order mark, in UTF-16, with the line ends of Windows."""
    path = tmp_path / "my.toml"
    text = '[[model]]\r\nname = "köln"\r\n[[model.file]]\r\nfilename = "a.gguf"\r\nurl = "https://h/a.gguf"\r\n'
    path.write_bytes(text.encode(encoding))
    assert load(path).find("Köln")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"my\.toml: line 2 is not UTF-8: it has the byte 0xf6"):
        load(path)


@pytest.mark.parametrize(
    "words", [["Mistral"], ["tiny", "llama3.2"], ["deepseek"], ["core"], ["vision"], ["llava", "nothing"], ["other"]]
)
@pytest.mark.parametrize("has_own", [False, True])
def test_what_is_read_for_some_words_means_the_same_as_all(words: list[str], has_own: bool, user_file: Path) -> None:
    """Names, aliases that the user's own catalog takes over, groups, and words that mean nothing."""
    everything, some = load(user_file if has_own else None), load_for(words, user_file if has_own else None)
    for word in words:
        assert some.find(word) == everything.find(word)
        assert some.group(word) == everything.group(word)
    assert (len(some.models) == len(everything.models)) == (None in map(everything.find, words))


def test_each_built_in_name_alone_means_the_same_as_among_all(built_in: Catalog) -> None:
    """Each alias, too."""
    for word, model in built_in.by_word.items():
        assert load_for([word]).find(word) == model


def test_references_read_no_catalog(tmp_path: Path) -> None:
    """Not even one that cannot be read."""
    assert load_for([], tmp_path / "missing.toml").models == ()
