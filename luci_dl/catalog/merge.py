"""Merges models that share files, so that no target is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Digest, Model
from luci_dl.names import target_key


@dataclass(frozen=True)
class _Claim:
    """What is known of one target, and which model claimed it first."""

    artifact: Artifact
    reference: str


def merge(models: Sequence[Model]) -> list[Model]:
    """The models in order, without those that another one covers; facts about a shared file are combined.

    Raises: UsageError, when two of them want different files at one target.
    """
    claims: dict[str, _Claim] = {}
    for model in models:
        for artifact in model.artifacts:
            key = target_key(artifact.name)
            claims[key] = _claim(claims.get(key), artifact, model.reference)
    return [
        replace(model, artifacts=tuple(claims[target_key(artifact.name)].artifact for artifact in model.artifacts))
        for model in _uncovered(models)
    ]


def _uncovered(models: Sequence[Model]) -> Iterator[Model]:
    """The models whose targets are not all targets of another one; of several with the same targets the first."""
    targets = [frozenset(target_key(artifact.name) for artifact in model.artifacts) for model in models]
    places: dict[str, list[int]] = {}
    for place, mine in enumerate(targets):
        for key in mine:
            places.setdefault(key, []).append(place)
    for place, mine in enumerate(targets):
        others = min((places[key] for key in mine), key=len, default=[])
        if not any(mine < targets[other] or (mine == targets[other] and other < place) for other in others):
            yield models[place]


def _claim(earlier: _Claim | None, artifact: Artifact, reference: str) -> _Claim:
    if earlier is None:
        return _Claim(artifact, reference)
    if not _are_one_file(earlier.artifact, artifact):
        raise UsageError(
            f"{earlier.reference} ({_proof(earlier.artifact)}) and {reference} ({_proof(artifact)}) both write "
            f"{artifact.name}, and are not known to mean the same file",
            "Install them one at a time, one of them with -o.",
        )
    return _Claim(_combined(earlier.artifact, artifact), earlier.reference)


def _are_one_file(a: Artifact, b: Artifact) -> bool:
    """True when no facts contradict each other, and a digest or a common address shows that it is the same file."""
    if a.sha256:
        return b.may_be(a.sha256, a.size)
    if b.sha256:
        return a.may_be(b.sha256, b.size)
    for digest in Digest:
        if a.expected(digest) and b.expected(digest):
            return a.expected(digest) == b.expected(digest)
    if None not in (a.size, b.size) and a.size != b.size:
        return False
    return a.provable or b.provable or not set(a.urls).isdisjoint(b.urls)


def _combined(a: Artifact, b: Artifact) -> Artifact:
    """Both in one, named like the first; the one with the better digest gives the first address and the headers."""
    best, other = (b, a) if _strength(b) > _strength(a) else (a, b)
    return replace(
        best,
        name=a.name,
        urls=tuple(dict.fromkeys(best.urls + other.urls)),
        size=other.size if best.size is None else best.size,
        digests={**other.digests, **best.digests},
        role="projector" if "projector" in (a.role, b.role) else "model",
    )


def _strength(artifact: Artifact) -> list[bool]:
    return [artifact.expected(digest) is not None for digest in Digest]


def _proof(artifact: Artifact) -> str:
    digest = artifact.best_digest
    return f"{digest.label} {artifact.best_hex[:12]}..." if digest else "no digest"
