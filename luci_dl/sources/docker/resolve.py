"""A model artifact in Docker's registry, or in another, becomes a model."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError, UsageError
from luci_dl.model import Artifact, Model
from luci_dl.names import check_name, target_key
from luci_dl.net.document import Document
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.docker.index import read_files
from luci_dl.sources.docker.manifest import File
from luci_dl.sources.docker.name import DEFAULT_HOST, Name, parse_name
from luci_dl.sources.ollama.manifest import ACCEPTED, MAX_BYTES
from luci_dl.sources.selection import FileSelection


def resolve_name(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    """The files that the word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""
    name = parse_name(word)
    repository = name.repository(context.endpoints.docker, context.endpoints.http_hosts)
    if context.network.offline:
        return context.installed_offline(urlsplit(repository).netloc, str(name))

    def ask(reference: str) -> Document:
        url = f"{repository}/manifests/{reference}"
        document = context.document(url, {"Accept": ", ".join(ACCEPTED)}, repository=repository, at_most=MAX_BYTES)
        if not document.is_success:
            raise _refusal(name, repository, document)
        return document

    files = read_files(ask(name.tag), str(name), selection.projector, lambda sha256: ask(f"sha256:{sha256}"))
    targets = _targets(name, files)

    def artifact(file: File, target: str) -> Artifact:
        layer, role = file.layer, file.role
        url = f"{repository}/blobs/sha256:{layer.sha256}"
        return Artifact(target, (url,), layer.size, layer.sha256, role=role, repository=repository, access="public")

    return Model(str(name), tuple(map(artifact, files, targets)))


def _targets(name: Name, files: Sequence[File]) -> list[str]:
    """The paths below the models folder: one file stands alone, several share a folder of their own.

    Raises: ResolveError, for a path that would leave that folder, or two files of one name.
    """
    stem = name.stem.rpartition("/")[2]
    if len(files) == 1:
        suffix = ".gguf" if files[0].is_gguf else _suffix(files[0].path)
        return [check_name(f"{name.stem}{suffix}")]
    shards = [file for file in files if file.role == "model" and not file.path]
    names = []
    for file in files:
        if file.path:
            plain = file.path
        elif file.role == "projector":
            plain = f"mmproj-{stem}.gguf"
        else:
            number = f"-{shards.index(file) + 1:05}-of-{len(shards):05}" if len(shards) > 1 else ""
            plain = f"{stem}{number}{'.gguf' if file.is_gguf else '.safetensors'}"
        try:
            names.append(check_name(f"{name.stem}/{plain}"))
        except UsageError as error:
            raise ResolveError(f"{name} has a file that cannot be installed: {error.message}") from error
    if len(set(map(target_key, names))) < len(names):
        raise ResolveError(f"{name} has two files of the same name", "Report it to its publisher.")
    return names


def _suffix(path: str) -> str:
    dot, suffix = path.rpartition(".")[1:]
    return f".{suffix}" if dot and suffix.isalnum() else ".safetensors"


def _refusal(name: Name, repository: str, document: Document) -> LuciError:
    """The error for a response that is not a manifest."""
    host, status, reason = urlsplit(repository).netloc, document.status, document.reason
    if status in (401, 403):
        return ResolveError(
            f"{name}: {host} requires an account ({status}{reason}): the model is private or does not exist",
            "Check the name. luci cannot log in there; fetch private models with: docker model pull",
        )
    if status == 404:
        where = "See https://hub.docker.com/u/ai" if name.host == DEFAULT_HOST else "Check host, namespace and name."
        return NotFound(f"{name}: {host} has no such model or tag", where)
    if 400 <= status < 500:
        return ResolveError(f"{name}: {host} refused the request ({status}{reason})", "Check the name.")
    return NetworkError(f"{name}: {host} answered {status}{reason}", "Try again later.")
