"""A reference to the Hugging Face Hub becomes a model: its files are listed, selected and given addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import quote

from luci_dl.errors import NotFound, ResolveError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact, Model
from luci_dl.names import check_name, target_key
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.hub import (
    Listing,
    artifact_of,
    is_projector,
    is_sound,
    list_files,
)
from luci_dl.sources.huggingface.quants import choose, near_paths, projector_for, projectors, whole
from luci_dl.sources.huggingface.reference import ADDRESS, HubReference, parse
from luci_dl.sources.selection import FileSelection
from luci_dl.text import counted, did_you_mean, printable

FIT = "fit"
"""In place of a quantisation: the best one that fits this machine."""
MAX_FILES = 400
"""Files of one model."""
_MAX_SHOWN = 3
_LOADABLE = (".gguf", ".safetensors")


def resolve_reference(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    """The files that the word means, at the commit that its revision names now.

    Raises: ResolveError; UsageError; NetworkError; Interrupted.
    """
    reference = parse(word, context.endpoints.hub)
    if selection.by_pattern and reference.quant:
        raise UsageError(
            f"--all-files, --include and --exclude select files, but {reference.text} names a quantisation",
            f"Leave out either the options or :{reference.quant}.",
        )
    if context.network.offline:
        file = (f"{reference.repo}/{reference.path}",) if reference.path else ()
        return context.installed_offline(context.endpoints.hub, reference.text, *file)
    if reference.sha256:
        context = replace(context, may_be_tampered=True)
    listing = list_files(context, reference.repo, reference.revision)
    reference, asked = replace(reference, repo=listing.repo), {}
    if reference.quant.casefold() == FIT:
        from luci_dl.sources.huggingface.fitting import fitting  # most name a quantisation, or none

        asked = {"word": replace(reference, quant=FIT).text}
        reference = fitting(reference, listing, selection, context)
    files = _select(listing.files, reference, selection, context.emit)
    artifacts = tuple(_artifact(listing, file, selection, context) for file in files)
    _refuse_twins(reference, artifacts)
    return Model(reference.text, _with_digest(reference, artifacts), asked=asked)


def _select(files: Sequence[RepoFile], reference: HubReference, selection: FileSelection, emit: Emit) -> list[RepoFile]:
    """Raises: ResolveError; UsageError."""
    named = [file for file in files if file.path == reference.path]
    if named and selection.by_pattern:
        raise UsageError(f"--all-files, --include and --exclude do not apply to a single file: {reference.text}")
    if named:
        return whole(named, files)
    below = [file for file in files if not reference.path or file.path.startswith(f"{reference.path}/")]
    if reference.path and not below:
        guess = did_you_mean(*near_paths(reference.path, files))
        raise NotFound(
            f'{reference.repo} has no file "{printable(reference.path)}"{guess}',
            f"All its files: {ADDRESS}/{reference.repo}/tree/{quote(reference.revision)}",
        )
    if selection.by_pattern:
        return _select_by_pattern(below, reference, selection, emit)
    model = choose(below, reference.quant, reference.text)
    return [*model, *_projector(model[0], files, reference, emit)] if selection.projector else model


def _projector(model: RepoFile, files: Sequence[RepoFile], reference: HubReference, emit: Emit) -> tuple[RepoFile, ...]:
    """The projector for the model, if there is one. Warns about projectors that cannot be assigned to a model."""
    projector = projector_for(model, files)
    if projector:
        return (projector,)
    if left := projectors(files):
        found = f"{counted(len(left), 'projector')} in other folders (the first is {printable(left[0].path)})"
        emit(
            Warned(
                f"{reference.repo} has {found}; none is installed, as none clearly belongs to {printable(model.path)}"
            )
        )
    return ()


def _select_by_pattern(
    files: Sequence[RepoFile], reference: HubReference, selection: FileSelection, emit: Emit
) -> list[RepoFile]:
    """The files that the patterns leave, what a loader takes first. Hidden files are never among them."""

    def is_selected(path: str) -> bool:
        if any(part.startswith(".") and part.strip(".") for part in path.split("/")):
            return False
        if is_projector(path) and not selection.projector:
            return False
        included = not selection.include or any(matches(path, pattern) for pattern in selection.include)
        return included and not any(matches(path, pattern) for pattern in selection.exclude)

    selected = _installable([file for file in files if is_selected(file.path)], reference.repo, emit)
    if not selected:
        raise ResolveError(f"--include and --exclude leave none of the {len(files)} files of {reference.text}")
    if len(selected) > MAX_FILES:
        raise ResolveError(
            f"{reference.text} has {len(selected)} such files, but one install takes at most {MAX_FILES}",
            "Install fewer at a time with --include.",
        )
    return sorted(selected, key=_load_order)


def matches(path: str, pattern: str) -> bool:
    """True when the pattern matches the file at `path`. Case matters, as on the Hub.

    A pattern without "/" matches files of that name in any folder. Otherwise "*" stays within one folder, "**" matches
    any number of folders, and a pattern that ends in "/" matches everything below.
    """
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    if pattern.endswith("/"):
        pattern += "**"
    return _parts_match(path.split("/"), pattern.removeprefix("/").split("/"))


def _parts_match(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_parts_match(parts[start:], patterns[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _parts_match(parts[1:], patterns[1:])


def _installable(files: Sequence[RepoFile], repo: str, emit: Emit) -> list[RepoFile]:
    """The files without those that cannot have their names in a models folder. Warns about these."""
    problems = {file.path: _name_error(repo, file.path) for file in files if is_sound(file.path)}
    errors = [error.message for error in problems.values() if error]
    if errors:
        emit(Warned(f"left out {counted(len(errors), 'file')} of {repo}: " + "; ".join(errors[:_MAX_SHOWN])))
    return [file for file in files if not problems.get(file.path)]


def _load_order(file: RepoFile) -> tuple[int, str]:
    rank = next((rank for rank, suffix in enumerate(_LOADABLE) if file.path.endswith(suffix)), len(_LOADABLE))
    return len(_LOADABLE) + 1 if is_projector(file.path) else rank, file.path


def _artifact(listing: Listing, file: RepoFile, selection: FileSelection, context: ResolveContext) -> Artifact:
    name = _target(listing, file, selection)  # first, because it refuses paths that make no sound address
    return artifact_of(listing, file, name, context)


def _target(listing: Listing, file: RepoFile, selection: FileSelection) -> str:
    """The path of the file below the models folder. Raises: ResolveError, for a name that is not allowed there."""
    if selection.output and is_sound(file.path):
        return selection.output
    if error := _name_error(listing.repo, file.path):
        hint = "Leave it out with --exclude." if selection.by_pattern else error.hint
        raise ResolveError(f"{listing.repo} has a file that cannot be installed: {error.message}", hint) from error
    return f"{listing.repo}/{file.path}"


def _name_error(repo: str, path: str) -> UsageError | None:
    """Why the file cannot be called REPO/PATH below the models folder; None if it can."""
    try:
        check_name(f"{repo}/{path}")
    except UsageError as error:
        return error
    return None


def _refuse_twins(reference: HubReference, artifacts: Sequence[Artifact]) -> None:
    """Raises: ResolveError, for two names that are the same file on some file systems."""
    seen: dict[str, str] = {}
    for artifact in artifacts:
        twin = seen.setdefault(target_key(artifact.name), artifact.name)
        if twin != artifact.name:
            raise ResolveError(
                f"{reference.text} has {twin} and {artifact.name}, which are one file on some file systems",
                "Leave one out with --exclude.",
            )


def _with_digest(reference: HubReference, artifacts: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
    """The artifacts with the digest that the address carried. Raises: UsageError, when it contradicts the Hub."""
    if reference.sha256 is None:
        return artifacts
    if len(artifacts) != 1:
        raise UsageError(f"#sha256= applies to a single file, but {reference.text} means {len(artifacts)}")
    if artifacts[0].sha256 not in (None, reference.sha256):
        raise UsageError(
            f"#sha256= is {reference.sha256[:12]}..., but the Hub has {artifacts[0].sha256} for {reference.text}",
            "Leave out the digest, or name the revision that you mean.",
        )
    return (replace(artifacts[0], sha256=reference.sha256),)
