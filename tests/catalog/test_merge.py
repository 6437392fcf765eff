from __future__ import annotations

from dataclasses import replace

import pytest

from luci_dl.catalog.merge import merge
from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Digest, Model, lfs_pointer_sha1

A, B = "a1" * 32, "b2" * 32
POINTER = lfs_pointer_sha1(A, 10)


def file(
    name: str = "a.gguf",
    host: str = "one",
    sha256: str | None = None,
    size: int | None = None,
    pointer: str | None = None,
) -> Artifact:
    """A file of that name at that host."""
    return Artifact(name, (f"https://{host}/{name}",), size, sha256, {Digest.LFS_POINTER: pointer} if pointer else {})


def model(*artifacts: Artifact, reference: str = "") -> Model:
    """A model of these files; by default its reference is the first address."""
    return Model(reference or artifacts[0].urls[0], artifacts)


def test_a_model_given_twice_is_kept_once() -> None:
    """Models that share nothing keep their order."""
    one, two = model(file(sha256=A)), model(file("b.gguf"))
    assert merge([one, two, one]) == [one, two]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file(host="two"), file(sha256=A)),
        (file(sha256=A), file(host="two", sha256=A)),
        (file(sha256=A, size=10), file(host="two", pointer=POINTER)),
        (file(host="two", pointer=POINTER), file(sha256=A, size=10)),
        (file(host="two", pointer=POINTER, size=10), file(sha256=A)),
        (file(pointer=POINTER), file(host="two", pointer=POINTER)),
        (file(pointer=POINTER), file(host="two", size=10)),
        (file(sha256=A), file(name="A.GGUF", host="two", size=10)),
    ],
)
def test_facts_about_one_file_are_combined(first: Artifact, second: Artifact) -> None:
    """All addresses, that of the stronger digest first, and every fact of either."""
    (merged,) = merge([model(first), model(second)])
    (artifact,) = merged.artifacts
    assert artifact.name == first.name
    assert set(artifact.urls) == {*first.urls, *second.urls}
    assert artifact.urls[0] == "https://one/a.gguf"
    assert artifact.sha256 == (first.sha256 or second.sha256)
    assert artifact.digests == {**first.digests, **second.digests}
    assert artifact.size == (first.size or second.size)


def test_headers_stay_with_their_address() -> None:
    """They are sent only to the first address, so they come with it."""
    plain = file(host="two")
    secret = Artifact("a.gguf", ("https://one/a.gguf",), sha256=A, headers={"Authorization": "x"})
    assert merge([model(plain), model(secret)])[0].artifacts[0].headers == {"Authorization": "x"}
    assert merge([model(file(sha256=A)), model(Artifact("a.gguf", plain.urls, headers={"X": "y"}))])[0].artifacts[
        0
    ] == (Artifact("a.gguf", ("https://one/a.gguf", "https://two/a.gguf"), sha256=A))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file(sha256=A), file(sha256=B)),
        (file(sha256=A), file(name="A.gguf", sha256=B)),
        (file(sha256=A, size=1), file(sha256=A, size=2)),
        (file(sha256=A, size=1), file(host="two", size=2)),
        (file(size=1), file(size=2)),
        (file(sha256=B, size=10), file(pointer=POINTER)),
        (file(pointer=POINTER), file(pointer="ab" * 20)),
        (file(), file(host="two")),
    ],
)
def test_two_files_at_one_target_are_refused(first: Artifact, second: Artifact) -> None:
    """Also two that no digest shows to be the same file."""
    for models in ([first, second], [second, first]):
        with pytest.raises(UsageError, match=r"one and two|two and one|one .* and two|two .* and one") as caught:
            merge([model(artifact, reference=word) for artifact, word in zip(models, ("one", "two"), strict=True)])
        assert "-o" in caught.value.hint


def test_a_model_that_another_one_covers_is_left_out() -> None:
    """Its file is downloaded once, as part of the other model, and keeps its role."""
    projector = Artifact("mmproj.gguf", ("https://one/mmproj.gguf",), role="projector")
    vision = model(file(), projector, reference="vision")
    alone = model(file("mmproj.gguf", sha256=A))
    (merged,) = merge([alone, vision])
    assert merged.reference == "vision"
    assert [(artifact.sha256, artifact.role) for artifact in merged.artifacts] == [(None, "model"), (A, "projector")]


def test_overlapping_models_share_their_facts() -> None:
    """Each is still complete, and both know the same of their common file."""
    one = model(file("a.gguf"), file("shared.gguf"))
    two = model(file("b.gguf"), file("shared.gguf", sha256=A))
    merged = merge([one, two])
    assert [each.reference for each in merged] == [one.reference, two.reference]
    assert merged[0].artifacts[1] == merged[1].artifacts[1]
    assert merged[0].artifacts[1].sha256 == A


def test_git_blob_digests_identify_files() -> None:
    """Equal ones are combined, different ones at one target are refused."""
    mine, same = (replace(file(host=host, size=10), digests={Digest.GIT_BLOB: "1" * 40}) for host in ("one", "two"))
    (merged,) = merge([model(mine), model(same)])
    assert merged.artifacts[0].urls == mine.urls + same.urls
    (merged,) = merge([model(file(host="two", size=10)), model(mine)])
    assert (merged.artifacts[0].digests, merged.artifacts[0].urls[0]) == (mine.digests, mine.urls[0])
    assert mine.may_be(A)
    with pytest.raises(UsageError, match=r"git blob SHA-1 1{12}.* and .*git blob SHA-1 222222222222"):
        merge([model(mine), model(replace(same, digests={Digest.GIT_BLOB: "2" * 40}))])


@pytest.mark.timeout(20)
def test_many_models_are_merged_fast() -> None:
    """In linear time, even if all of them share a file or are equal."""
    shared, count = file("shared.gguf", sha256=A), 20_000
    models = [model(file(f"{n}.gguf"), shared) for n in range(count)]
    assert merge(models) == models
    assert merge([models[0]] * count) == models[:1]
    assert merge([model(shared), *models]) == models


@pytest.mark.timeout(20)
def test_many_addresses_of_one_file_are_combined_fast() -> None:
    """In linear time: each of many repositories may have its own copy of one projector."""
    count = 20_000
    copies = [file("shared.gguf", host=f"host-{n}", sha256=A) for n in range(count)]
    merged = merge([model(file(f"{n}.gguf"), copy) for n, copy in enumerate(copies)])
    assert len(merged) == count
    assert merged[-1].artifacts[1].urls == tuple(copy.urls[0] for copy in copies)
    pairs = [model(file("a.gguf", sha256=A), file("b.gguf", sha256=B), reference=f"{n}") for n in range(count)]
    assert [each.reference for each in merge(pairs)] == ["0"]
