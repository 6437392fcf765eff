"""An object in a bucket, or a model that was pushed there, becomes a model."""

from __future__ import annotations

from luci_dl.cancel import run_cancellable
from luci_dl.errors import UsageError
from luci_dl.model import Artifact, Model
from luci_dl.names import check_name
from luci_dl.net import objects
from luci_dl.net.status import is_temporary
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.s3.manifest import FILE_NAME, MAX_BYTES, Manifest, read_manifest
from luci_dl.sources.s3.place import parse_place
from luci_dl.sources.selection import FileSelection

_ABSENT = (403, 404)
"""What S3 says of a key that is not there: the first to those who may not list the bucket."""


def resolve_place(word: str, selection: FileSelection, context: ResolveContext) -> Model:
    """The files that the word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""
    place, sha256 = parse_place(word)
    if sha256 or selection.sha256:
        return _single(place, sha256, selection)
    if context.network.offline:
        return context.installed_offline(place.rpartition("/")[0], place)
    manifest = ask_for_manifest(place, context)
    if manifest is None:
        single = _single(place, None, selection)
        context.suggested_names(single.artifacts[0])  # which raises what the store says if it is not there either
        return single
    artifacts = (
        Artifact(entry.name, (f"{place}/{entry.key}",), entry.size, entry.sha256, role=entry.role)
        for entry in manifest.files
    )
    return Model(place, tuple(artifacts), kept=manifest.kept)


def ask_for_manifest(place: str, context: ResolveContext) -> Manifest | None:
    """The manifest in that folder; None if there is none.

    Raises: UsageError, for a store whose plain http could be tampered with; ResolveError; NetworkError; Interrupted.
    """
    url = f"{place}/{FILE_NAME}"
    if not context.may_be_tampered:
        address = run_cancellable(lambda: objects.signed(place), context.token)
        context.endpoints.refuse_plain_http(address, "AWS_ENDPOINT_URL")
    document = context.document(url, {}, at_most=MAX_BYTES)
    if document.is_success:
        return read_manifest(document.body, url)
    error = objects.refusal_in(place, document.status, document.body)
    if document.status not in _ABSENT or is_temporary(document.status) or not _may_be_absent(document.body):
        raise error
    return None


def _may_be_absent(body: bytes) -> bool:
    return not body or b"NoSuchKey" in body or b"AccessDenied" in body


def _single(place: str, sha256: str | None, selection: FileSelection) -> Model:
    """The object itself. Raises: UsageError, if its key gives no name for the file."""
    name = selection.output
    if name is None:
        try:
            name = check_name(place.rpartition("/")[2])
        except UsageError as error:
            raise UsageError(f"{place}: {error.message}", error.hint) from error
    return Model(place, (Artifact(name, (place,), sha256=sha256),))
