from __future__ import annotations

import pytest

from luci_dl.errors import ResolveError, UsageError
from luci_dl.sources.huggingface.reference import is_reference, parse

HERE = "http://127.0.0.1:8000/hf"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("hf:me/model", "hf:me/model"),
        ("HF:me/model/", "hf:me/model"),
        ("hf:me/model@main", "hf:me/model"),
        ("hf:me/model:Q4_K_M", "hf:me/model:Q4_K_M"),
        ("hf:me/model@v1.0:q8_0", "hf:me/model@v1.0:q8_0"),
        ("hf:me/model/sub/a b.gguf", "hf:me/model/sub/a b.gguf"),
        ("hf:me/model@refs/pr/1/m.gguf", "hf:me/model@refs/pr/1/m.gguf"),
        ("hf:me/model@refs%2Fpr%2F1:Q8_0", "hf:me/model@refs/pr/1:Q8_0"),
        ("hf:me/model@feature%2Fx/m.gguf", "hf:me/model@feature%2Fx/m.gguf"),
        ("hf.co/me/model:Q4_K_M", "hf:me/model:Q4_K_M"),
        ("huggingface.co/me/model/m.gguf", "hf:me/model/m.gguf"),
        ("huggingface.co/me/model/tree/main", "hf:me/model"),
        ("https://huggingface.co/me/model", "hf:me/model"),
        ("https://HuggingFace.co/me/model/?library=x#usage", "hf:me/model"),
        ("http://hf.co/me/model", "hf:me/model"),
        ("https://huggingface.co/me/model:Q8_0", "hf:me/model:Q8_0"),
        ("https://huggingface.co/me/model/tree/v2/sub/dir", "hf:me/model@v2/sub/dir"),
        ("https://huggingface.co/me/model/tree/refs%2Fpr%2F3", "hf:me/model@refs/pr/3"),
        ("https://huggingface.co/me/model/blob/refs/pr/3/m.gguf", "hf:me/model@refs/pr/3/m.gguf"),
        ("https://huggingface.co/me/model/blob/main/m.gguf", "hf:me/model/m.gguf"),
        ("https://huggingface.co/me/model/raw/main/m%20n.gguf", "hf:me/model/m n.gguf"),
        ("https://huggingface.co/me/model/resolve/main/m.gguf?download=true", "hf:me/model/m.gguf"),
        (f"https://huggingface.co/me/model/commit/{'a1' * 20}", f"hf:me/model@{'a1' * 20}"),
        (f"{HERE}/me/model/resolve/main/m.gguf", "hf:me/model/m.gguf"),
        (f"{HERE}/me/model", "hf:me/model"),
    ],
)
def test_all_spellings_are_one_reference(word: str, text: str) -> None:
    """And the canonical form means the same."""
    assert is_reference(word, HERE)
    assert parse(word, HERE).text == text
    assert parse(text, HERE).text == text


@pytest.mark.parametrize(
    "word",
    [
        "mistral",
        "hfmodel",
        "ollama:hf.co/me/model",
        "https://example.com/huggingface.co/me/model",
        "https://huggingface.co.example.com/me/model",
        "https://huggingface.co/datasets/me/data/resolve/main/d.parquet",
        "https://huggingface.co/gpt2/resolve/main/m.safetensors",
        "http://127.0.0.1:8000/me/model",
        "http://127.0.0.1:80001/hf/me/model",
    ],
)
def test_other_words_are_not_hub_references(word: str) -> None:
    """The address of a file in a dataset is a plain address."""
    assert not is_reference(word, HERE)


@pytest.mark.parametrize(
    ("word", "error", "problem"),
    [
        ("hf:", UsageError, "expected hf:OWNER/REPO"),
        ("hf:model", UsageError, "expected hf:OWNER/REPO"),
        ("hf:me/model:", UsageError, "expected hf:OWNER/REPO"),
        ("hf:me/model:Q4/x", UsageError, "expected hf:OWNER/REPO"),
        ("hf:me/mo del", UsageError, "OWNER/REPO as on the Hub"),
        ("hf:../model", UsageError, "OWNER/REPO as on the Hub"),
        ("hf:me/model@..", UsageError, '".."'),
        ("hf:me/model/../../x", UsageError, '".."'),
        ("hf:me/model/a\x1b[31m", UsageError, "control character"),
        ("hf:me/model@%0a", UsageError, "control character"),
        ("hf:datasets/me/data", ResolveError, "datasets, but luci installs models"),
        ("https://huggingface.co/datasets/me/data", ResolveError, "datasets, but luci installs models"),
        ("https://huggingface.co/spaces/me/app/tree/main", ResolveError, "spaces, but luci installs models"),
        ("https://huggingface.co/me/model/discussions/3", UsageError, "not a page of files"),
        ("https://huggingface.co/models", UsageError, "expected hf:OWNER/REPO"),
        ("https://me:secret@huggingface.co/me/model", UsageError, "set HF_TOKEN"),
    ],
)
def test_a_malformed_reference_is_refused(word: str, error: type[Exception], problem: str) -> None:
    """The message says what was expected, without secrets and control characters."""
    assert is_reference(word)
    with pytest.raises(error) as caught:
        parse(word)
    message = f"{caught.value} {getattr(caught.value, 'hint', '')}"
    assert problem in message
    assert "secret" not in message
    assert str(caught.value).isprintable()


def test_a_digest_after_an_address_is_used() -> None:
    assert parse(f"https://huggingface.co/me/model/blob/main/m.gguf#sha256={'A1' * 32}").sha256 == "a1" * 32
