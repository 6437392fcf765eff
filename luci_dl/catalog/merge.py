"""Merges models that share files, so that no target is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Digest, Model
from luci_dl.names import target_key


@dataclass
class _Claim:
    """What is known of one target, its addresses in order, and which model claimed it first."""

    artifact: Artifact
    reference: str
    urls: dict[str, None] = field(repr=False)


def merge(models: Sequence[Model]) -> list[Model]:
    """The models in order, without those that another one covers; facts about a shared file are combined.

    Raises: UsageError, when two of them want different files at one target.
    """
    claims: dict[str, _Claim] = {}
    for model in models:
        for artifact in model.artifacts:
            new = _Claim(artifact, model.reference, dict.fromkeys(artifact.urls))
            earlier = claims.setdefault(target_key(artifact.name), new)
            if earlier is not new:
                _combine(earlier, new)
    merged = {key: replace(claim.artifact, urls=tuple(claim.urls)) for key, claim in claims.items()}
    return [
        replace(model, artifacts=tuple(merged[target_key(artifact.name)] for artifact in model.artifacts))
        for model in _uncovered(models)
    ]


def _uncovered(models: Sequence[Model]) -> Iterator[Model]:
    """The models whose targets are not all targets of another one; of several with the same targets the first."""
    distinct: dict[frozenset[str], Model] = {}
    for model in models:
        distinct.setdefault(frozenset(target_key(artifact.name) for artifact in model.artifacts), model)
    by_target: dict[str, list[frozenset[str]]] = {}
    for targets in distinct:
        for key in targets:
            by_target.setdefault(key, []).append(targets)
    for targets, model in distinct.items():
        others = min((by_target[key] for key in targets), key=len, default=[])
        if not any(targets < other for other in others):
            yield model


def _combine(earlier: _Claim, new: _Claim) -> None:
    """Add what is known of the same file; the claim with the better digest gives the first address and the headers."""
    if not _are_one_file(earlier, new):
        a, b = earlier, new
        raise UsageError(
            f"{a.reference} ({_proof(a.artifact)}) and {b.reference} ({_proof(b.artifact)}) both write "
            f"{b.artifact.name}, and are not known to mean the same file",
            "Install them one at a time, one of them with -o.",
        )
    is_better = _strength(new.artifact) > _strength(earlier.artifact)
    best, other = (new, earlier) if is_better else (earlier, new)
    earlier.artifact = replace(
        best.artifact,
        name=earlier.artifact.name,
        size=other.artifact.size if best.artifact.size is None else best.artifact.size,
        digests={**other.artifact.digests, **best.artifact.digests},
        role="projector" if "projector" in (best.artifact.role, other.artifact.role) else "model",
    )
    best.urls.update(other.urls)
    earlier.urls = best.urls


def _are_one_file(one: _Claim, other: _Claim) -> bool:
    """True when no facts contradict each other, and a digest or a common address shows that it is the same file."""
    a, b = one.artifact, other.artifact
    if a.sha256:
        return b.may_be(a.sha256, a.size)
    if b.sha256:
        return a.may_be(b.sha256, b.size)
    for digest in Digest:
        if a.expected(digest) and b.expected(digest):
            return a.expected(digest) == b.expected(digest)
    if None not in (a.size, b.size) and a.size != b.size:
        return False
    return a.provable or b.provable or not one.urls.keys().isdisjoint(other.urls)


def _strength(artifact: Artifact) -> list[bool]:
    return [artifact.expected(digest) is not None for digest in Digest]


def _proof(artifact: Artifact) -> str:
    digest = artifact.best_digest
    return f"{digest.label} {artifact.best_hex[:12]}..." if digest else "no digest"
