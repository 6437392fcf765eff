"""Names in registries: all spellings of a name are one model."""

from __future__ import annotations

import pytest

from luci_dl.errors import ResolveError
from luci_dl.names import check_name
from luci_dl.sources.ollama.name import is_name, parse_name

DEFAULT = "https://registry.ollama.ai"


@pytest.mark.parametrize(
    "word",
    [
        "ollama:llama3.2",
        "ollama:llama3.2:latest",
        "OLLAMA:llama3.2",
        "ollama://llama3.2",
        "ollama:library/llama3.2",
        "ollama:registry.ollama.ai/library/llama3.2:latest",
        "ollama:Registry.Ollama.AI/llama3.2",
        "ollama:ollama.com/library/llama3.2",
        "https://ollama.com/library/llama3.2",
        "https://ollama.com/library/llama3.2:latest",
        "https://www.ollama.com/library/llama3.2/",
        "https://ollama.com/library/llama3.2/tags",
        "ollama.com/library/llama3.2?tab=readme#top",
    ],
)
def test_all_spellings_of_a_name_mean_the_same(word: str) -> None:
    """So a model installed by one is found by the others."""
    assert is_name(word)
    assert str(parse_name(word)) == "ollama:llama3.2:latest"


@pytest.mark.parametrize(
    ("word", "reference", "stem", "repository"),
    [
        ("ollama:m:1b-q4_K_M", "ollama:m:1b-q4_K_M", "m-1b-q4_K_M", f"{DEFAULT}/v2/library/m"),
        ("ollama:jo/m", "ollama:jo/m:latest", "registry.ollama.ai/jo/m-latest", f"{DEFAULT}/v2/jo/m"),
        ("https://ollama.com/jo/m:x", "ollama:jo/m:x", "registry.ollama.ai/jo/m-x", f"{DEFAULT}/v2/jo/m"),
        (
            "ollama:r.example/m",
            "ollama:r.example/library/m:latest",
            "r.example/library/m-latest",
            "https://r.example/v2/library/m",
        ),
        (
            "ollama:r.example:5000/a/m:t",
            "ollama:r.example:5000/a/m:t",
            "r.example+5000/a/m-t",
            "https://r.example:5000/v2/a/m",
        ),
        ("ollama:localhost/a/m:t", "ollama:localhost/a/m:t", "localhost/a/m-t", "http://localhost/v2/a/m"),
        (
            "ollama:127.0.0.1:5000/m:t",
            "ollama:127.0.0.1:5000/library/m:t",
            "127.0.0.1+5000/library/m-t",
            "http://127.0.0.1:5000/v2/library/m",
        ),
        ("ollama:[::1]:5000/a/m:t", "ollama:[::1]:5000/a/m:t", "++1+5000/a/m-t", "http://[::1]:5000/v2/a/m"),
        (
            "ollama:hf.co/Ow.ner/Repo-GGUF:Q4_K_M",
            "ollama:hf.co/Ow.ner/Repo-GGUF:Q4_K_M",
            "hf.co/Ow.ner/Repo-GGUF-Q4_K_M",
            "https://hf.co/v2/Ow.ner/Repo-GGUF",
        ),
        (
            "ollama:bücher.example/a/m",
            "ollama:xn--bcher-kva.example/a/m:latest",
            "xn--bcher-kva.example/a/m-latest",
            "https://xn--bcher-kva.example/v2/a/m",
        ),
    ],
)
def test_a_name_gives_the_address_and_the_target(word: str, reference: str, stem: str, repository: str) -> None:
    """Host and namespace are folders of the target unless they are the default ones."""
    name = parse_name(word)
    assert (str(name), name.repository(DEFAULT)) == (reference, repository)
    assert name.targets == (f"{stem}.gguf", f"{stem}.mmproj.gguf")
    assert parse_name(reference) == name
    assert [check_name(target) for target in name.targets]


def test_the_registry_of_the_environment_replaces_the_default() -> None:
    """Its scheme is used if a name has the same host."""
    base = "https://localhost:5000/ollama"
    assert parse_name("ollama:m").repository(base) == f"{base}/v2/library/m"
    assert parse_name("ollama:localhost:5000/a/m").repository(base) == f"{base}/v2/a/m"
    assert parse_name("ollama:localhost:5001/a/m").repository(base) == "http://localhost:5001/v2/a/m"


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("ollama:", '"" is not a valid MODEL'),
        ("ollama:/m", '"" is not a valid NAMESPACE'),
        ("ollama:r.example//m", '"" is not a valid NAMESPACE'),
        ("ollama://", '"" is not a valid MODEL'),
        ("ollama:m:", '"" is not a valid TAG'),
        ("ollama::t", '"" is not a valid MODEL'),
        ("ollama:a:b:c", '"b:c" is not a valid TAG'),
        ("ollama:m@sha256:aa", "is not a valid MODEL"),
        ("ollama:-m", "is not a valid MODEL"),
        ("ollama:.m", "is not a valid MODEL"),
        ("ollama:m m", "is not a valid MODEL"),
        ("ollama:" + "m" * 97, "is not a valid MODEL"),
        ("ollama:m:../../x", "is not a valid HOST"),
        ("ollama:x/../m", '".." is not a valid NAMESPACE'),
        ("ollama:../x/m", '".." is not a valid HOST'),
        ("ollama:a/b/c/m", '"a/b" is not a valid HOST'),
        ("ollama:user:pass@r.example/n/m", "is not a valid HOST"),
        ("ollama:r.example:0/n/m", "is not a valid HOST"),
        ("ollama:r.example:x/n/m", "is not a valid HOST"),
        ("ollama:r.example?x/n/m", "is not a valid HOST"),
        ("ollama:r.example#x/n/m", "is not a valid HOST"),
        ("ollama:https://r.example/n/m", "is not a valid HOST"),
        ("ollama:\x1b[2J", r"\x1b[2J"),
        ("ollama:m\0", r"\x00"),
    ],
)
def test_a_malformed_name_is_refused(word: str, problem: str) -> None:
    """The message names the part and the expected form."""
    with pytest.raises(ResolveError) as refused:
        parse_name(word)
    assert problem in refused.value.message
    assert "[HOST/][NAMESPACE/]MODEL[:TAG]" in refused.value.message
    assert refused.value.message.isprintable()
    assert "pass" not in refused.value.message


@pytest.mark.parametrize(
    "word",
    [
        "llama3.2",
        "hf:owner/repo",
        "https://ollama.com/install.sh",
        "https://ollama.com/download/ollama-linux-amd64.tgz",
        "https://ollama.com/library/m/blobs/abc",
        "https://ollama.com.example/library/m",
        "https://example.com/ollama.com/library/m",
        "https://registry.ollama.ai/v2/library/m/blobs/sha256:aa",
    ],
)
def test_other_words_are_not_names(word: str) -> None:
    """Not every address at ollama.com is a model."""
    assert not is_name(word)
