"""The current models of the built-in catalog: in families and groups, beside the seed's, which mean what they meant."""

from __future__ import annotations

import pytest

from luci_dl.catalog.catalog import Catalog, load
from luci_dl.catalog.entries import family_of, read_entries
from luci_dl.catalog.estimate import about
from luci_dl.catalog.merge import merge
from luci_dl.catalog.search import search
from luci_dl.errors import ResolveError
from luci_dl.model import Model


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


@pytest.fixture(scope="module")
def current(catalog: Catalog) -> list[Model]:
    """Those that `all` leaves out."""
    return [model for model in catalog.models if not model.in_all]


def test_all_is_the_seed_s_set_and_everything_the_whole(catalog: Catalog, current: list[Model]) -> None:
    everything, all_ = catalog.group("everything") or (), catalog.group("all") or ()
    assert (len(all_), len(current), len(everything)) == (76, 107, 183)
    assert set(everything) == {*all_, *current}
    assert [model.reference for model in all_[:4]] == ["tinyllama", "llama3.2", "mistral-7b", "deepseek-coder"]
    assert [model.reference for model in catalog.group("core") or ()] == [model.reference for model in all_[:4]]


def test_every_file_of_a_current_model_is_proved(current: list[Model]) -> None:
    assert sum(len(model.artifacts) for model in current) == 267
    assert all(artifact.sha256 for model in current for artifact in model.artifacts)


def test_no_two_models_write_one_file(catalog: Catalog) -> None:
    """Projectors have the same name in many repositories: each lies in the folder of its model."""
    assert len(merge(catalog.models)) > 170
    for model in catalog.models:
        if not model.in_all and len(model.artifacts) > 1:
            assert {artifact.name.partition("/")[0] for artifact in model.artifacts} == {model.reference}


def test_the_file_to_load_comes_first(current: list[Model]) -> None:
    """Never the projector; of shards the first."""
    for model in current:
        assert model.artifacts[0].role == "model"
        assert "-of-" not in model.artifacts[0].name or "-00001-of-" in model.artifacts[0].name


def test_groups_say_how_large_and_what_for(current: list[Model]) -> None:
    for model in current:
        assert len({"small", "medium", "large"} & set(model.groups)) == 1
        assert model.family
        assert ("vision" in model.groups) == any(each.role == "projector" for each in model.artifacts)
    for group in ("code", "reasoning", "embedding", "speech"):
        assert any(group in model.groups for model in current)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("gpt-oss-20b", "gpt-oss-20b"),
        ("qwen3.6-27b", "qwen3.6-27b"),
        ("gemma-4-12b", "gemma-4-12b"),
        ("gemma-4-12b-it-qat-q4_0", "gemma-4-12b"),
        ("qwen3-coder-30b-a3b-instruct", "qwen3-coder-30b-a3b"),
        ("qwen3-4b-instruct-2507", "qwen3-4b-2507"),
        ("mistral", "mistral-7b"),
        ("llama3.2", "llama3.2"),
    ],
)
def test_short_and_long_names_are_known(catalog: Catalog, word: str, name: str) -> None:
    found = catalog.find(word)
    assert found is not None
    assert found.reference == name


def test_whisper_is_no_gguf(catalog: Catalog) -> None:
    found = catalog.find("whisper-base")
    assert found is not None
    assert found.artifacts[0].name == "ggml-base.bin"


def test_search_finds_by_family_and_task(catalog: Catalog) -> None:
    """The family before models that only have the word in their names."""
    assert {model.family for model in search("kimi", catalog)} == {"kimi"}
    assert all("vision" in model.groups and model.family == "gemma" for model in search("gemma vision", catalog)[:5])
    with pytest.raises(ResolveError, match="gemma"):
        search("gemmma", catalog)


def test_sizes_are_estimated_by_name_and_quantisation(catalog: Catalog) -> None:
    """Within a factor of two of the truth for those that are known."""
    from dataclasses import replace

    checked = 0
    for model in catalog.models:
        if model.size is None or model.size < 500_000_000:
            continue
        blind = replace(model, artifacts=tuple(replace(each, size=None) for each in model.artifacts))
        guess = about(blind)
        if guess is not None:
            checked += 1
            assert 0.6 < guess / model.size < 2, (model.reference, guess, model.size)
    assert checked > 20
    scout = catalog.find("llama-4-scout-17b-16e")
    assert scout is not None
    assert about(scout) is None


def test_a_model_without_a_family_gets_that_of_its_name() -> None:
    assert (family_of("qwen3.5-9b"), family_of("7b")) == ("qwen", "7b")
    text = (
        '[[model]]\nname = "mine-7b"\nfamily = "ours"\nall = false\n[[model.file]]\nfilename = "m"\nurl = "https://h/m"'
    )
    (model,) = read_entries(text, "c.toml")
    assert (model.family, model.in_all) == ("ours", False)
