"""A reference to the Hugging Face Hub becomes a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from luci_dl.errors import NetworkError, ResolveError, UsageError
from luci_dl.model import Artifact, Model
from luci_dl.names import check_name, target_key
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.globs import matches
from luci_dl.sources.huggingface.hub import Listing, RepoFile, listing
from luci_dl.sources.huggingface.quants import choose, is_projector, near_paths, projector_for, whole
from luci_dl.sources.huggingface.reference import HubReference, parse
from luci_dl.sources.selection import FileSelection
from luci_dl.text import printable

MOST_FILES = 400
"""Of one model: they are installed all or none, so all are open at once."""
_LONGEST_NAME = 255


def from_reference(word: str, choice: FileSelection, web: ResolveContext) -> Model:
    """The files that the word means, at the commit that its revision means now.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """
    asked = parse(word, web.endpoints.hub)
    if choice.of_repository and asked.quant:
        raise UsageError(
            f"--all-files, --include and --exclude choose files, and {asked.text} names a quantisation",
            f"Leave out either them or :{asked.quant}.",
        )
    if web.network.offline:
        return _installed(asked, web)
    listed = listing(web, asked.repo, asked.revision)
    asked = replace(asked, repo=listed.repo)
    files = _chosen(listed.files, asked, choice)
    artifacts = tuple(_artifact(listed, file, choice, web) for file in files)
    _refuse_twins(asked, artifacts)
    return Model(asked.text, _with_digest(asked, artifacts))


def _installed(asked: HubReference, web: ResolveContext) -> Model:
    model = web.installed(asked.text) or (web.installed(f"{asked.repo}/{asked.path}") if asked.path else None)
    if model is None:
        raise NetworkError(
            f"{asked.text} is not installed, and luci, which is to stay offline, would have to ask {web.endpoints.hub}",
            "Leave out --offline, and unset HF_HUB_OFFLINE.",
        )
    return model


def _chosen(files: Sequence[RepoFile], asked: HubReference, choice: FileSelection) -> list[RepoFile]:
    """Raises: ResolveError; UsageError."""
    named = [file for file in files if file.path == asked.path]
    if named and choice.of_repository:
        raise UsageError(f"--all-files, --include and --exclude do not go with a single file: {asked.text}")
    if named:
        return whole(named, files)
    here = [file for file in files if not asked.path or file.path.startswith(f"{asked.path}/")]
    if asked.path and not here:
        near = ", ".join(map(printable, near_paths(asked.path, files)))
        raise ResolveError(
            f'{asked.repo} has no file "{printable(asked.path)}"' + (f"; did you mean {near}?" if near else ""),
            f"All its files: https://huggingface.co/{asked.repo}/tree/{quote(asked.revision)}",
        )
    if choice.of_repository:
        return _by_patterns(here, asked, choice)
    model = choose(here, asked.quant, asked.text)
    projector = projector_for(model[0], files) if choice.projector else None
    return [*model, projector] if projector else model


def _by_patterns(files: Sequence[RepoFile], asked: HubReference, choice: FileSelection) -> list[RepoFile]:
    """All that the patterns leave; hidden files, which no loader reads, are never meant."""

    def is_meant(path: str) -> bool:
        if any(part.startswith(".") and part.strip(".") for part in path.split("/")):
            return False
        if is_projector(path) and not choice.projector:
            return False
        included = not choice.include or any(matches(path, pattern) for pattern in choice.include)
        return included and not any(matches(path, pattern) for pattern in choice.exclude)

    meant = [file for file in files if is_meant(file.path)]
    if not meant:
        raise ResolveError(f"--include and --exclude leave none of the {len(files)} files of {asked.text}")
    if len(meant) > MOST_FILES:
        raise ResolveError(
            f"{asked.text} has {len(meant)} such files, and one install takes at most {MOST_FILES}",
            "Install some at a time with --include.",
        )
    return sorted(meant, key=_place)


def _place(file: RepoFile) -> tuple[int, str]:
    """What a loader is given comes first."""
    kinds = (".gguf", ".safetensors")
    kind = next((number for number, kind in enumerate(kinds) if file.path.endswith(kind)), len(kinds))
    return len(kinds) + 1 if is_projector(file.path) else kind, file.path


def _artifact(listed: Listing, file: RepoFile, choice: FileSelection, web: ResolveContext) -> Artifact:
    name = _target(listed, file, choice)  # first: an address is made of sound names only
    urls = web.endpoints.hub_urls(f"/{listed.repo}/resolve/{listed.commit}/{quote(file.path)}", listed.by)
    return Artifact(
        name,
        urls,
        file.size,
        file.sha256,
        blob_sha1=file.blob_sha1,
        headers=web.endpoints.headers_for(urls[0]),
        role="projector" if is_projector(file.path) else "model",
    )


def _target(listed: Listing, file: RepoFile, choice: FileSelection) -> str:
    """Where the file goes below the models folder. Raises: ResolveError, for a name that must not be there."""
    name, parts = f"{listed.repo}/{file.path}", file.path.split("/")
    try:
        if choice.output and file.path.isprintable() and not {"", ".", ".."} & set(parts):
            return choice.output
        if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in parts):
            raise UsageError(f'"{printable(name)[:100]}..." is too long for a file name')
        return check_name(name)
    except UsageError as error:
        raise ResolveError(
            f"{listed.repo} has a file that cannot be installed: {error.message}", "Leave it out with --exclude."
        ) from error


def _refuse_twins(asked: HubReference, artifacts: Sequence[Artifact]) -> None:
    """Raises: ResolveError, for two names that some file systems hold to be one."""
    seen: dict[str, str] = {}
    for artifact in artifacts:
        twin = seen.setdefault(target_key(artifact.name), artifact.name)
        if twin != artifact.name:
            raise ResolveError(
                f"{asked.text} has {twin} and {artifact.name}, which are one file on some file systems",
                "Leave one out with --exclude.",
            )


def _with_digest(asked: HubReference, artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    """The file with the digest that stood behind its address. Raises: UsageError, when that cannot be."""
    if asked.sha256 is None:
        return artifacts
    if len(artifacts) != 1:
        raise UsageError(f"#sha256= goes with a single file, and {asked.text} means {len(artifacts)}")
    if artifacts[0].sha256 not in (None, asked.sha256):
        raise UsageError(
            f"#sha256= says {asked.sha256[:12]}..., and the Hub says {artifacts[0].sha256} of {asked.text}",
            "Leave out the digest, or name the revision that you mean.",
        )
    return (replace(artifacts[0], sha256=asked.sha256),)
