from __future__ import annotations

import pytest

from luci_dl.errors import ResolveError
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.quants import choose, near_paths, projector_for
from luci_dl.sources.huggingface.resolve import matches


def files(*paths: str) -> list[RepoFile]:
    return [RepoFile(path, 4_000_000_000, "a1" * 32, {}) for path in paths]


def shards(stem: str, count: int) -> list[str]:
    return [f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]


MANY = ("m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-BF16.gguf", "mmproj-F16.gguf", "README.md")


@pytest.mark.parametrize(
    ("paths", "quant", "chosen"),
    [
        (MANY, "", "m-Q4_K_M.gguf"),
        (MANY, "q2_k", "m-Q2_K.gguf"),
        (MANY, "BF16", "m-BF16.gguf"),
        (("m-Q2_K.gguf", "m-Q8_0.gguf"), "", "m-Q8_0.gguf"),
        (("m.Q4_K_M.gguf", "m.Q4_K_S.gguf"), "", "m.Q4_K_M.gguf"),
        (("odd.gguf", "imatrix.gguf", "mmproj.gguf"), "", "odd.gguf"),
        (("ggml-model-q4_0.gguf", "ggml-model-q4_0_4_4.gguf"), "Q4_0", "ggml-model-q4_0.gguf"),
        (("m-IQ4_XS.gguf", "m-Q4_XS.gguf"), "Q4_XS", "m-Q4_XS.gguf"),
        (("m-UD-Q4_K_XL.gguf", "m-Q4_K_M.gguf"), "UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        (("BF16/m-a.gguf", "Q8_0/m-b.gguf"), "bf16", "BF16/m-a.gguf"),
        (("m-Q4_K_M.GGUF",), "", "m-Q4_K_M.GGUF"),
        (("m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"), "Q4_K_M", "m-Q4_K_M.gguf"),
        (("m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"), "", "m-Q4_K_M.gguf"),
        (("m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"), "ud-q4_k_m", "m-UD-Q4_K_M.gguf"),
        (("m-UD-Q4_K_M.gguf", "m-Q8_0.gguf"), "Q4_K_M", "m-UD-Q4_K_M.gguf"),
    ],
)
def test_the_quantisation_selects_the_model(paths: tuple[str, ...], quant: str, chosen: str) -> None:
    """As a whole word in any case, or else Q4_K_M, then Q8_0, then the only model."""
    assert [file.path for file in choose(files(*paths), quant, "hf:me/model")] == [chosen]


@pytest.mark.parametrize(
    ("paths", "quant", "chosen"),
    [
        (("m-Q8_0.gguf", "m-draft-Q8_0.gguf"), "", "m-Q8_0.gguf"),
        (("m-Q5_K.gguf", "mtp-m.gguf"), "", "m-Q5_K.gguf"),
        (("m-Q4_K_M.gguf", "m-EAGLE3-Q4_K_M.gguf"), "Q4_K_M", "m-Q4_K_M.gguf"),
        (("m-Q4_K_M.gguf", "draft/m-Q4_K_M.gguf"), "", "m-Q4_K_M.gguf"),
        (("m-Q4_K_M.gguf", "m-F16.imatrix.gguf", "imatrix_unsloth.gguf", "imatrix.dat"), "F16", None),
        (("m-imatrix-Q4_K_M.gguf", "m-imatrix-Q8_0.gguf"), "", "m-imatrix-Q4_K_M.gguf"),
        (("m-lora-F16.gguf", "m-F16.gguf"), "F16", "m-F16.gguf"),
        (("m-Q8_0.gguf", "m-draft-Q8_0.gguf"), "draft-Q8_0", "m-draft-Q8_0.gguf"),
        (("m-DRAFT-0.5B-Q4_K_M.gguf", "m-DRAFT-0.5B-Q8_0.gguf"), "Q8_0", "m-DRAFT-0.5B-Q8_0.gguf"),
        (("backdraft-Q2_K.gguf",), "Q2_K", "backdraft-Q2_K.gguf"),
    ],
)
def test_what_only_helps_a_model_is_left_out_of_the_choice(
    paths: tuple[str, ...], quant: str, chosen: str | None
) -> None:
    """Unless it is named, or there is nothing else."""
    if chosen:
        assert [file.path for file in choose(files(*paths), quant, "hf:me/model")] == [chosen]
    else:
        with pytest.raises(ResolveError, match="no model that matches"):
            choose(files(*paths), quant, "hf:me/model")


def test_f16_does_not_mean_bf16() -> None:
    with pytest.raises(ResolveError, match="no model that matches F16"):
        choose(files("m-BF16.gguf", "m-Q4_K_M.gguf"), "F16", "hf:me/model")


@pytest.mark.parametrize(
    ("paths", "quant", "texts"),
    [
        (("a-Q2_K.gguf", "b-Q3_K.gguf"), "", ("2 models", "Q4_K_M nor Q8_0", "4.0GB  a-Q2_K.gguf", "b-Q3_K.gguf")),
        (("a-Q4_K_M.gguf", "b-Q4_K_M.gguf"), "", ("2 models that match Q4_K_M", "4.0GB  a-Q4_K_M.gguf")),
        (MANY, "Q4_K_L", ("did you mean Q4_K_M", "m-Q8_0.gguf")),
        (MANY, "zzz\x1b", ("no model that matches zzz\\x1b; it has",)),
        (("model.safetensors",), "", ("no GGUF file",)),
        (("mmproj-F16.gguf",), "", ("no GGUF file",)),
        (tuple(shards("m-Q3_K", 2) + shards("m-Q5_K", 3)), "", ("12GB  m-Q5_K-00001-of-00003.gguf (3 shards)",)),
    ],
)
def test_no_or_several_matches_are_refused_with_a_list(
    paths: tuple[str, ...], quant: str, texts: tuple[str, ...]
) -> None:
    """With sizes, and a similar quantisation."""
    with pytest.raises(ResolveError) as caught:
        choose(files(*paths), quant, "hf:me/model")
    assert all(text in caught.value.message for text in texts), caught.value.message
    assert caught.value.message.replace("\n", "").isprintable()


def test_a_long_list_is_cut() -> None:
    """A message of a thousand lines helps no one."""
    with pytest.raises(ResolveError) as caught:
        choose(files(*(f"m{number}.gguf" for number in range(1000))), "", "hf:me/model")
    assert "and 960 more" in caught.value.message
    assert len(caught.value.message.splitlines()) == 42


def test_shards_are_completed_in_order() -> None:
    """Whatever the order of the listing."""
    wanted = shards("sub/m-Q4_K_M", 3)
    found = choose(files(*reversed(wanted), *shards("m-Q8_0", 2)), "Q4_K_M", "hf:me/model")
    assert [file.path for file in found] == wanted


@pytest.mark.parametrize(
    "paths", [shards("m", 3)[::2], shards("m", 3)[1:], ["m-00001-of-99999.gguf"], ["m-00001-of-00000.gguf"]]
)
def test_missing_shards_are_refused(paths: list[str]) -> None:
    """The model would not be complete."""
    with pytest.raises(ResolveError, match="the repository lacks"):
        choose(files(*paths), "", "hf:me/model")


@pytest.mark.parametrize(
    ("model", "paths", "chosen"),
    [
        ("m-Q4_K_M.gguf", ("mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"), "mmproj-F16.gguf"),
        ("m-Q4_K_M.gguf", ("mmproj-F16.gguf", "mmproj-Q8_0.gguf"), "mmproj-Q8_0.gguf"),
        ("m-F32.gguf", ("mmproj-F16.gguf", "mmproj-F32.gguf"), "mmproj-F32.gguf"),
        ("a/m-Q4_0.gguf", ("mmproj-F16.gguf", "a/mmproj-F32.gguf", "b/mmproj-Q8_0.gguf"), "a/mmproj-F32.gguf"),
        ("a/m-Q4_0.gguf", ("b/mmproj-F16.gguf", "model-MMPROJ.gguf"), "model-MMPROJ.gguf"),
        ("m-Q4_0.gguf", ("mmproj/mmproj-F16.gguf", "mmproj/mmproj-F32.gguf"), "mmproj/mmproj-F16.gguf"),
        ("Q4_0/m-Q4_0.gguf", ("vision/mmproj-F16.gguf", "other.gguf"), "vision/mmproj-F16.gguf"),
        ("m-Q4_0.gguf", ("a/mmproj-F16.gguf", "b/mmproj-F16.gguf", "mmproj.txt"), None),
        ("m-Q4_0.gguf", ("a/mmproj-F16.gguf", "a/other-Q4_0.gguf"), None),
    ],
)
def test_the_nearest_projector_is_selected(model: str, paths: tuple[str, ...], chosen: str | None) -> None:
    """The model's folder or one above it, or the only one without models; the nearest precision, F16 before BF16."""
    found = projector_for(files(model)[0], files(model, *paths))
    assert (found and found.path) == chosen


@pytest.mark.parametrize(("path", "near"), [("m-q4_k.gguf", "m-Q4_K_M.gguf"), ("config.jsn", "a/config.json")])
def test_a_misspelt_path_gets_suggestions(path: str, near: str) -> None:
    """Also if the folder is missing, in any case."""
    assert near_paths(path, files("m-Q4_K_M.gguf", "a/config.json"))[0] == near


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b.json", "*.json", True),
        ("a/b.JSON", "*.json", False),
        ("a/b.json", "a", False),
        ("a/b.json", "a/", True),
        ("a/c/b.json", "a/", True),
        ("a/b.json", "a/*", True),
        ("a/c/b.json", "a/*", False),
        ("a/c/b.json", "a/**", True),
        ("a/c/b.json", "**/b.json", True),
        ("b.json", "**/b.json", True),
        ("a/c/d/b.json", "a/**/b.?son", True),
        ("a/b.json", "/a/b.json", True),
        ("a/b.json", "a/b[.]json", True),
        ("a/b.json", "", False),
    ],
)
def test_patterns_match_files(path: str, pattern: str, expected: bool) -> None:
    """Without a slash by the name in any folder, with one by the whole path."""
    assert matches(path, pattern) is expected
