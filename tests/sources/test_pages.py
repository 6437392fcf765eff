"""What people paste from a browser becomes the address of the file, or is refused."""

from __future__ import annotations

import pytest

from luci_dl.errors import ResolveError, UsageError
from luci_dl.sources import url
from luci_dl.sources.base import source_of
from luci_dl.sources.endpoints import Endpoints
from luci_dl.sources.url import parse_address

HUB = "https://huggingface.co"
HERE = Endpoints(hub="http://127.0.0.1:8000/hf")


def canonical(word: str) -> str:
    source = source_of(word, HERE)
    assert source
    return source.canonical(word, HERE)


@pytest.mark.parametrize(
    ("page", "file"),
    [
        (f"{HUB}/datasets/me/d/blob/main/a/d.gguf", f"{HUB}/datasets/me/d/resolve/main/a/d.gguf"),
        (f"{HUB}/datasets/squad/raw/main/d.gguf?download=true", f"{HUB}/datasets/squad/resolve/main/d.gguf"),
        ("https://hf.co/spaces/me/s/resolve/main/d.bin?utm_source=x", f"{HUB}/spaces/me/s/resolve/main/d.bin"),
        (f"{HUB}/gpt2/raw/main/m.safetensors", f"{HUB}/gpt2/resolve/main/m.safetensors"),
        ("https://hf-mirror.com/me/m/blob/main/m.gguf", "https://hf-mirror.com/me/m/resolve/main/m.gguf"),
        ("https://github.com/o/r/blob/v1/a%20b/m.gguf?raw=true", "https://github.com/o/r/raw/v1/a%20b/m.gguf"),
        ("https://raw.githubusercontent.com/o/r/refs/heads/x/m.bin", "https://github.com/o/r/raw/refs/heads/x/m.bin"),
        ("https://gitlab.com/g/s/r/-/blob/main/m.gguf?ref_type=heads", "https://gitlab.com/g/s/r/-/raw/main/m.gguf"),
        ("https://git.example/g/r/-/blob/main/m.gguf", "https://git.example/g/r/-/raw/main/m.gguf"),
        ("https://codeberg.org/o/r/src/branch/main/m.gguf", "https://codeberg.org/o/r/media/branch/main/m.gguf"),
        ("https://bitbucket.org/o/r/src/main/m.gguf?at=main", "https://bitbucket.org/o/r/raw/main/m.gguf"),
        (
            "https://modelscope.cn/models/o/r/file/view/master/m.gguf?status=2",
            "https://modelscope.cn/models/o/r/resolve/master/m.gguf",
        ),
        (
            "https://www.dropbox.com/scl/fi/abc/m.gguf?rlkey=k&e=2&dl=0",
            "https://www.dropbox.com/scl/fi/abc/m.gguf?dl=1&rlkey=k",
        ),
        ("https://dropbox.com/s/abc/m.gguf", "https://www.dropbox.com/s/abc/m.gguf?dl=1"),
        (
            "https://drive.google.com/file/d/1aB_/view?usp=sharing",
            "https://drive.usercontent.google.com/download?id=1aB_&export=download&confirm=t",
        ),
        (
            "https://drive.google.com/uc?export=download&id=1aB_",
            "https://drive.usercontent.google.com/download?export=download&confirm=t&id=1aB_",
        ),
    ],
)
def test_the_page_of_a_file_becomes_the_address_of_the_file(page: str, file: str) -> None:
    """Where a repository may have only a Git LFS pointer at an address, that of the file is used; files stay."""
    assert source_of(page, HERE) is url
    assert parse_address(page).url == parse_address(file).url == file


@pytest.mark.parametrize(
    "address",
    [
        "https://raw.githubusercontent.com/o/r/main/m.gguf?token=A1",
        "https://github.com/o/r/releases/download/v1/m.gguf",
        "https://github.com/o/r/releases/latest/download/m.gguf",
        "https://gitlab.com/g/r/-/raw/main/m.gguf?private_token=x",
        "https://example.com/o/r/blob/main/m.gguf?download=true&ref=x",
        "https://www.dropbox.com/s/abc/m.gguf?unknown=1",
        f"{HUB}/datasets/me/d/resolve/main/d.gguf?unknown=1",
    ],
)
def test_any_other_address_stays_as_it_was_pasted(address: str) -> None:
    """A parameter that luci does not know may mean something to the server."""
    assert parse_address(address).url == address


@pytest.mark.parametrize(
    "page",
    [
        "https://github.com/o/r",
        "https://github.com/o/r/tree/main/models",
        "https://github.com/o/r/releases/tag/v1",
        "https://gitlab.com/g/r/-/tree/main",
        "https://drive.google.com/drive/folders/1aB?usp=sharing",
        "https://www.dropbox.com/scl/fo/abc/h?rlkey=secret",
        "https://1drv.ms/u/s!abc",
        "https://civitai.com/models/4201/name?modelVersionId=130072",
        "https://www.modelscope.cn/models/o/r/files",
        "https://zenodo.org/records/123",
    ],
)
def test_a_page_of_no_single_file_is_refused(page: str) -> None:
    """Before any request, with what to do there."""
    with pytest.raises(UsageError, match="not the address of a file") as caught:
        parse_address(page)
    assert caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("page", "reference"),
    [
        ("/me/m?show_file_info=m-Q8_0.gguf", "hf:me/m/m-Q8_0.gguf"),
        ("/me/m/tree/main?show_file_info=a%2Fm.gguf&library=x", "hf:me/m/a/m.gguf"),
        ("/me/m/tree/v2/a?show_file_info=a%2Fm+n.gguf", "hf:me/m@v2/a/m n.gguf"),
        ("/me/m/blob/main/m.gguf?show_file_info=m.gguf", "hf:me/m/m.gguf"),
        ("/me/m?local-app=llama.cpp&utm_source=x&not-for-all-audiences=true", "hf:me/m"),
        ("/me/m/blob/main/m.gguf?download#L1", "hf:me/m/m.gguf"),
        ("/me/m/resolve/main/m.gguf?download=true&library=x", "hf:me/m/m.gguf"),
    ],
)
@pytest.mark.parametrize("hub", [HUB, "https://hf.co", HERE.hub])
def test_the_parameters_of_a_hub_page_are_honoured_or_known_to_be_harmless(hub: str, page: str, reference: str) -> None:
    """At the Hub, under its short name, and at the server in its place."""
    assert canonical(hub + page) == reference


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        (f"{HUB}/me/m?file=m.gguf", '"?file="'),
        (f"{HUB}/me/m/blob/main/a.gguf?revision=v2", '"?revision="'),
        (f"{HUB}/me/m?show_file_info=a.gguf&show_file_info=b.gguf", '"?show_file_info="'),
        (f"{HUB}/me/m/blob/main/a.gguf?show_file_info=b.gguf", "shows b.gguf, but its address also names a.gguf"),
        (f"{HUB}/me/m:Q8_0?show_file_info=b.gguf", "shows b.gguf, but its address also names Q8_0"),
        (f"{HUB}/me/m?show_file_info=..%2Fb.gguf", '".." or "."'),
        (f"{HUB}/me/m/commits/main", "not a page of files"),
        (f"{HUB}/me/m/edit/main/README.md", "not a page of files"),
        (f"{HUB}/collections/me/c-1", "not a page of files"),
        (f"{HUB}/api/models/me/m", "not a page of files"),
        (f"{HUB}/models?search=m", "expected hf:OWNER/REPO"),
        (f"{HERE.hub}/datasets/me/d/tree/main", "resolve/main/FILE"),
        ("https://ollama.com/library/m?file=x", '"?file="'),
    ],
)
def test_what_a_page_selects_otherwise_is_refused(word: str, problem: str) -> None:
    """Nothing is installed in its place."""
    with pytest.raises((UsageError, ResolveError)) as caught:
        canonical(word)
    assert problem in f"{caught.value.message} {caught.value.hint}"


def test_ollama_pages_lose_only_what_is_harmless() -> None:
    assert canonical("https://ollama.com/library/m:1b?utm_source=x#readme") == "ollama:m:1b"


MIRRORED = Endpoints(hub="https://corp.example/hf", mirrors=("https://m.example", "https://m.example/a/b"))


@pytest.mark.parametrize("base", MIRRORED.hubs)
def test_pages_of_mirrors_are_those_of_the_hub(base: str) -> None:
    """Those of datasets, spaces and old repositories at the server in HF_ENDPOINT, and all at a mirror."""
    for path in ("datasets/o/d/{}/main/d.gguf", "spaces/o/s/{}/v1/a/d.bin", "gpt2/{}/main/m.safetensors"):
        page, file = (f"{base}/{path.format(word)}" for word in ("blob", "resolve"))
        assert source_of(page, MIRRORED) is source_of(file, MIRRORED) is url
        assert url.canonical(f"{page}?download=true", MIRRORED) == url.canonical(file, MIRRORED) == file


@pytest.mark.parametrize("base", [*MIRRORED.mirrors, "https://hf-mirror.com"])
def test_a_repository_at_a_mirror_is_refused_with_its_reference(base: str) -> None:
    """It is no file, and the Hub may know more of it; a file of the mirror stays as it is."""
    file = f"{base}/o/r/resolve/main/m.gguf"
    assert url.canonical(f"{base}/o/r/blob/main/m.gguf", MIRRORED) == file
    for page in ("o/r", "o/Model-3.2-3B/", "o/r/tree/main", "o/r/tree/main/folder?x=1"):
        with pytest.raises(UsageError, match="page of a repository") as caught:
            url.canonical(f"{base}/{page}", MIRRORED)
        assert "hf:OWNER/REPO" in caught.value.hint
    assert url.canonical(f"{base}/files/m.v1.gguf", MIRRORED) == f"{base}/files/m.v1.gguf"
