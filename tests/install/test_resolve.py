from __future__ import annotations

import pytest

from luci_dl.catalog.catalog import Catalog
from luci_dl.errors import ResolveError, UsageError
from luci_dl.install.resolve import resolve
from luci_dl.model import Artifact, Digest, Model, lfs_pointer_sha1
from luci_dl.sources.selection import FileSelection

A, B = "a1" * 32, "b2" * 32


def model(name: str, *files: str, groups: tuple[str, ...] = (), tier: int = 0, sha256: str | None = A) -> Model:
    """A catalog model; by default it has one file with its name."""
    artifacts = tuple(Artifact(file, (f"https://h/{file}",), sha256=sha256) for file in files or (f"{name}.gguf",))
    return Model(name, artifacts, (f"{name}-alias",), groups, tier)


@pytest.fixture
def catalog() -> Catalog:
    """A few models of each kind."""
    pointer = Artifact("d.gguf", ("https://h/d.gguf",), size=10, digests={Digest.LFS_POINTER: lfs_pointer_sha1(A, 10)})
    return Catalog.of(
        [
            model("tiny", groups=("core",)),
            model("mistral", groups=("core",), tier=2),
            model("qwen-vl", "qwen.gguf", "mmproj.gguf", groups=("vision",), tier=1),
            model("big", tier=4, sha256=None),
            Model("pointed", (pointer,), tier=3),
        ]
    )


@pytest.mark.parametrize(
    ("words", "references"),
    [
        (["mistral"], ["mistral"]),
        (["MISTRAL-alias"], ["mistral"]),
        (["mistral", "tiny"], ["mistral", "tiny"]),
        (["mistral", "mistral-alias", "Mistral"], ["mistral"]),
        (["core"], ["tiny", "mistral"]),
        (["core", "models"], ["tiny", "mistral"]),
        (["Core", "Models", "mistral"], ["tiny", "mistral"]),
        (["mistral", "core", "models"], ["mistral", "tiny"]),
        (["vision", "models", "tiny"], ["qwen-vl", "tiny"]),
        (["all"], ["tiny", "mistral", "big", "pointed", "qwen-vl"]),
        (["all", "models", "core"], ["tiny", "mistral", "big", "pointed", "qwen-vl"]),
        (["https://x/y.gguf", "tiny"], ["https://x/y.gguf", "tiny"]),
        (["https://x/tiny.gguf", "tiny"], ["https://x/tiny.gguf"]),
        (["http://127.0.0.1:8000/y.gguf"], ["http://127.0.0.1:8000/y.gguf"]),
        ([f"http://x/y.gguf#sha256={A}"], ["http://x/y.gguf"]),
    ],
)
def test_words_become_models_each_once_and_in_order(catalog: Catalog, words: list[str], references: list[str]) -> None:
    """Names, aliases, groups and addresses, in any mix."""
    assert [model.reference for model in resolve(words, catalog)] == references


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no model given"),
        ([""], "empty"),
        (["tiny", " \t"], "empty"),
        (["models"], "must follow the name of a group"),
        (["core", "models", "models"], "must follow the name of a group"),
        (["https://me:secret@x/y.gguf", "models"], "must follow the name of a group"),
        (["https://x/"], "no file name"),
        (["http://x/y.gguf"], "plain http"),
        ([f"https://x/y.gguf#sha256={A}", f"https://z/y.gguf#sha256={B}"], "y.gguf"),
        ([f"https://x/TINY.gguf#sha256={B}", "tiny"], "tiny"),
    ],
)
def test_invalid_words_are_refused(catalog: Catalog, words: list[str], problem: str) -> None:
    """With a usage error."""
    with pytest.raises(UsageError, match=problem) as caught:
        resolve(words, catalog)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["mistrl"], 'no model "mistrl"; did you mean mistral', "luci list --available"),
        (["corre"], "`core models`", ""),
        (["visoin"], "`vision models`", ""),
        (["vision"], "`vision models`", ""),
        (["corre", "models"], 'no group "corre"; did you mean `core models`', "all, everything, core, vision"),
        (["xyzzy", "models"], 'no group "xyzzy"', "all, everything, core, vision"),
        (["tiny", "models"], "tiny is a model, not a group", "`models`"),
        (["\x1b[31m"], r"\x1b[31m", ""),
    ],
)
def test_an_unknown_word_gets_suggestions(catalog: Catalog, words: list[str], message: str, hint: str) -> None:
    """The message shows the word safely and suggests similar ones; the hint says where to look."""
    with pytest.raises(ResolveError) as caught:
        resolve(words, catalog)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.message.isprintable()


def test_all_unknown_words_are_reported_at_once(catalog: Catalog) -> None:
    """One line each, none twice."""
    with pytest.raises(ResolveError) as caught:
        resolve(["mistrl", "tiny", "tinny", "corre", "models", "mistrl"], catalog)
    lines = caught.value.message.split("\n")
    assert [line.split('"')[1] for line in lines] == ["mistrl", "tinny", "corre"]
    assert len(caught.value.hint.split("\n")) == 2


def test_unverified_allows_plain_http(catalog: Catalog) -> None:
    """It accepts the risk."""
    assert resolve(["http://x/y.gguf"], catalog, FileSelection(unverified=True))


@pytest.mark.parametrize("word", ["tiny", "https://x/y.gguf", "https://x/"])
def test_output_names_the_file(catalog: Catalog, word: str) -> None:
    """Of a catalog model and of an address, even one without a file name."""
    (found,) = resolve([word], catalog, FileSelection(output="mine.gguf"))
    assert [artifact.name for artifact in found.artifacts] == ["mine.gguf"]


@pytest.mark.parametrize("output", ["a/b.gguf", "/b.gguf", "../b.gguf", "", ".b.gguf", "b.part", "b\n.gguf"])
def test_output_is_a_file_name_without_folders(catalog: Catalog, output: str) -> None:
    """And subject to the rules for all names."""
    with pytest.raises(UsageError):
        resolve(["tiny"], catalog, FileSelection(output=output))


@pytest.mark.parametrize("words", [["tiny", "mistral"], ["core"], ["qwen-vl"], ["tiny", "https://x/y.gguf"]])
@pytest.mark.parametrize("option", [{"output": "a.gguf"}, {"sha256": A}])
def test_options_for_one_file_refuse_several(catalog: Catalog, words: list[str], option: dict[str, str]) -> None:
    """-o and --sha256 apply to a single file."""
    with pytest.raises(UsageError, match="one reference to a single file"):
        resolve(words, catalog, FileSelection(output=option.get("output"), sha256=option.get("sha256")))


@pytest.mark.parametrize("word", ["tiny", "big", "pointed", "http://x/y.gguf", f"https://x/y.gguf#sha256={A}"])
def test_sha256_is_used_if_it_contradicts_nothing(catalog: Catalog, word: str) -> None:
    """It may repeat a known digest, or add an unknown one."""
    (found,) = resolve([word], catalog, FileSelection(sha256=A.upper()))
    assert found.artifacts[0].sha256 == A


@pytest.mark.parametrize("word", ["tiny", "pointed", f"https://x/y.gguf#sha256={A}"])
def test_sha256_that_contradicts_is_refused(catalog: Catalog, word: str) -> None:
    """Known facts are not overruled."""
    with pytest.raises(UsageError, match="known to be another file"):
        resolve([word], catalog, FileSelection(sha256=B))


@pytest.mark.parametrize(("sha256", "problem"), [("ab", "found 2"), ("", "found 0"), ("x" * 64, '"x"')])
def test_an_invalid_sha256_is_refused(catalog: Catalog, sha256: str, problem: str) -> None:
    """The message gives its length or the invalid character."""
    with pytest.raises(UsageError, match=problem):
        resolve(["tiny"], catalog, FileSelection(sha256=sha256))


def test_the_projector_may_be_left_out(catalog: Catalog) -> None:
    """Also that of a catalog model."""
    pair = Model(
        "pair", tuple(Artifact(name, ("https://h/x",), sha256=A, role=name) for name in ("model", "projector"))
    )
    (found,) = resolve(["pair"], Catalog.of([pair]), FileSelection(projector=False))
    assert [artifact.name for artifact in found.artifacts] == ["model"]


def test_headers_need_a_plain_address(catalog: Catalog) -> None:
    """A header that is sent nowhere is probably a mistake."""
    headers = FileSelection(headers={"Authorization": "x"})
    assert resolve(["tiny", "https://x/y.gguf"], catalog, headers)
    for word in ("tiny", "hf:me/m", "https://huggingface.co/me/m"):
        with pytest.raises(UsageError, match="--header"):
            resolve([word], catalog, headers)
