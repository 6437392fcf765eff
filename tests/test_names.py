from __future__ import annotations

import os.path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.errors import UsageError
from luci_dl.names import STAGING_SUFFIXES, check_digest, check_name, target_key


@pytest.mark.parametrize(
    "name",
    ["a.gguf", "OWNER/REPO/file.gguf", "a..b.gguf", "my model.gguf", "größe-模型.gguf", "part", "x.partial", "a-b"],
)
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    """Whatever can do no harm is allowed."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("/etc/passwd", "begins with a slash"),
        ("..", 'has ".." in it'),
        ("a/../../b.gguf", 'has ".." in it'),
        ("./a.gguf", 'has "." in it'),
        ("a//b.gguf", "has an empty part"),
        ("a/", "has an empty part"),
        (".hidden.gguf", "begins with a dot"),
        (".luci/a.gguf", "begins with a dot"),
        ("-rf.gguf", "begins with a dash"),
        ("a/-rf.gguf", "begins with a dash"),
        (" a.gguf", "begins or ends with a space"),
        ("a /b.gguf", "begins or ends with a space"),
        ("a\\b.gguf", "backslash"),
        ("a\0.gguf", "control characters"),
        ("a\n.gguf", "control characters"),
        ("a\x7f.gguf", "control characters"),
        ("a\x9b.gguf", "control characters"),
        ("a\u2028.gguf", "control characters"),
        ("a\u202e.gguf", "control characters"),
        ("a\udcff.gguf", "control characters"),
        ("a.PART", "ends in .part"),
        ("a/" + "ö" * 130, "too long: at most 255 bytes"),
        ("a.lock/b.gguf", "ends in .lock"),
        *((f"a.gguf{suffix}", f"ends in {suffix}") for suffix in STAGING_SUFFIXES),
    ],
)
def test_a_name_that_could_do_harm_is_refused(name: str, problem: str) -> None:
    """The message says what is wrong with the name, and is safe to print."""
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert problem in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


_PIECES = st.sampled_from(["..", ".", "/", "a", "~", "\\", ".luci", "\0", "b.gguf", " ", "-"])


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_no_allowed_name_leaves_the_folder(name: str) -> None:
    """A name that passes lies below the folder, and not in luci's own."""
    try:
        check_name(name)
    except UsageError:
        return
    path = os.path.normpath(os.path.join("/models", name))
    assert path.startswith("/models/")
    assert not path.startswith("/models/.")
    assert path == f"/models/{name}"


def test_names_that_a_file_system_may_fold_have_one_key() -> None:
    """Case and the two ways to write an umlaut make no other target."""
    assert target_key("Größe.GGUF") == target_key("gro\u0308ße.gguf")
    assert target_key("a.gguf") != target_key("b.gguf")


def test_a_digest_comes_back_in_lower_case() -> None:
    """Hex digits are accepted in any case."""
    assert check_digest("AB" * 32, 64, "it") == "ab" * 32


@pytest.mark.parametrize(
    ("digest", "problem"),
    [
        ("", "64 hex digits, found 0"),
        ("ab", "64 hex digits, found 2"),
        ("a" * 65, "found 65"),
        ("g" * 64, 'found the character "g"'),
        ("sha256:" + "a" * 57, 'found the character "s"'),
        ("\x1b" + "a" * 63, r"\x1b"),
        ("١" * 64, "found the character"),
    ],
)
def test_a_digest_that_is_none_is_refused(digest: str, problem: str) -> None:
    """The message says what was expected and what was found."""
    with pytest.raises(UsageError) as caught:
        check_digest(digest, 64, "the digest")
    assert problem in caught.value.message
    assert caught.value.message.startswith("the digest must be 64 hex digits")
