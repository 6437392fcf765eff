"""The shapes of the JSON that commands print, each key with its type and meaning. `luci help json` shows them.

A command that answers a question prints one of `ANSWERS`, on one line; all others print events. `json_answers` builds
an answer from the shape: a key without a getter is an attribute of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter as at
from operator import itemgetter, methodcaller
from typing import Annotated, Any, TypedDict

from luci_dl.figures import percent, seconds_left
from luci_dl.model import Digest


class CatalogFile(TypedDict):
    """One file of a model in the catalog."""

    name: Annotated[str, "path below the models folder"]
    role: Annotated[str, '"model" or "projector"']
    size: Annotated[int | None, "bytes"]
    sha256: Annotated[str | None, "64 hex digits"]
    lfs_pointer_sha1: Annotated[
        str | None, "SHA-1 of the file's Git LFS pointer, 40 hex digits", methodcaller("expected", Digest.LFS_POINTER)
    ]
    blob_sha1: Annotated[
        str | None, "SHA-1 of the file as a git blob, 40 hex digits", methodcaller("expected", Digest.GIT_BLOB)
    ]
    urls: Annotated[Sequence[str], "addresses, the best first", at("public_urls")]


class CatalogModel(TypedDict):
    """A model of the catalog."""

    name: Annotated[str, "what `luci install` takes", at("reference")]
    aliases: Annotated[Sequence[str], "other names"]
    family: Annotated[str, 'the series that it belongs to, like "qwen"']
    groups: Annotated[Sequence[str], "groups that it belongs to"]
    tier: Annotated[int | None, "0 (runs anywhere) to 4 (needs a big machine)"]
    license: Annotated[str | None, "its licence"]
    size: Annotated[int | None, "bytes of all files"]
    files: Annotated[list[CatalogFile], "the file to load is the first", at("artifacts")]


class Memory(TypedDict):
    """Memory of this machine."""

    total: Annotated[int, "bytes, used or not"]
    free: Annotated[int | None, "bytes that are free now"]


class Load(TypedDict):
    """What it takes to run a model, and where that is possible."""

    verdict: Annotated[
        str | None,
        '"fits the card", "part on the processor", "fits memory" or "does not fit"; null if the memory is unknown',
        lambda load: load.verdict and load.verdict.value,
    ]
    needed: Annotated[int, "bytes in all"]
    weights: Annotated[int, "bytes of its files, the projector among them"]
    estimated: Annotated[bool, "whether the weights are an estimate"]
    cache: Annotated[int | None, "bytes of its KV cache; null if that is unknown, and left out"]
    context: Annotated[int, "tokens that the cache is for"]
    memory: Annotated[Memory | None, "main memory", at("machine.memory")]
    graphics: Annotated[
        Memory | None,
        "memory of the graphics cards; null without any",
        lambda load: load.machine.graphics and load.machine.graphics.memory,
    ]


class Fit(TypedDict):
    """Whether a model fits this machine; null where that is unknown."""

    disk: Annotated[bool | None, "it is installed, or there is enough free space"]
    memory: Annotated[bool | None, "it runs here, on a graphics card or not"]
    running: Annotated[Load | None, "what running it takes; null for what is no GGUF file"]


class OfferedModel(CatalogModel):
    """A model of the catalog, seen from this machine."""

    installed: Annotated[bool, "whether it is installed"]
    size_about: Annotated[int | None, "bytes of all files; estimated where the catalog does not know them"]
    fits: Annotated[Fit, "whether it fits this machine"]


class InstalledFile(TypedDict):
    """One installed file."""

    path: Annotated[str, "where it is"]
    role: Annotated[str, '"model" or "projector"', at("receipt.role")]
    size: Annotated[int, "bytes", at("receipt.size")]
    sha256: Annotated[str, "64 hex digits", at("receipt.sha256")]
    proof: Annotated[str, 'what verified it: "sha256", "lfs pointer", "git blob", "hub" or "none"', at("receipt.proof")]
    url: Annotated[str, "where it came from; empty if it was there already", at("receipt.url")]
    installed_at: Annotated[str, "time of the install", at("receipt.installed")]
    verified_at: Annotated[str, "time when it was last verified", at("receipt.verified")]
    state: Annotated[str, '"ok", "touched" (only its time differs), "changed" or "missing", by size and time alone']


class InstalledModel(TypedDict):
    """An installed model."""

    name: Annotated[str, "the reference that it was installed by", at("reference")]
    folder: Annotated[str, "its models folder"]
    path: Annotated[str, "the file to load: of a set the first shard, never the projector", at("to_load.path")]
    size: Annotated[int, "bytes of all files"]
    state: Annotated[str, "the worst state of its files"]
    files: Annotated[list[InstalledFile], "the file to load is the first"]


class GgufHeader(TypedDict):
    """What the header of a GGUF file says; null or empty where it does not say."""

    version: Annotated[int, "of the GGUF format"]
    big_endian: Annotated[bool, "its byte order"]
    architecture: Annotated[str | None, 'like "llama"']
    name: Annotated[str | None, "the model's name"]
    license: Annotated[str | None, "the model's licence"]
    file_type: Annotated[str | None, 'the quantisation, like "Q4_K_M"']
    context_length: Annotated[int | None, "tokens"]
    tokenizer: Annotated[str | None, "kind of tokenizer"]
    tokens: Annotated[int | None, "size of the vocabulary"]
    shard: Annotated[int | None, "number of this file in its set, from 1"]
    shards: Annotated[int | None, "files in the set"]
    parameters: Annotated[int, "number of parameters"]
    tensors: Annotated[int, "number of tensors"]
    tensor_types: Annotated[Mapping[str, int], "number of tensors of each type, the type with most parameters first"]
    needed: Annotated[int, "bytes that a file with these tensors has at least"]


class Gguf(TypedDict):
    """An installed GGUF file."""

    path: Annotated[str, "where it is"]
    header: Annotated[GgufHeader | None, "null if it cannot be read"]
    problem: Annotated[str, "why the file cannot be complete; empty if nothing is wrong"]


class PartialFile(TypedDict):
    """A partial download."""

    path: Annotated[str, "the partial file"]
    target: Annotated[str, "where the complete file will be", lambda partial: partial.folder / partial.name]
    done: Annotated[int, "verified bytes"]
    total: Annotated[int | None, "bytes of the complete file"]
    running: Annotated[bool, "whether it is being downloaded now"]


class Quantisation(TypedDict):
    """One model of a repository."""

    label: Annotated[str, 'the quantisation, like "Q4_K_M"; empty if its name has none']
    reference: Annotated[str, "what `luci install` takes"]
    files: Annotated[Sequence[str], "its files in the repository"]
    size: Annotated[int, "bytes of all files"]
    is_default: Annotated[bool, "whether it is what the repository's name alone means"]
    installed: Annotated[bool, "whether it is installed"]
    fit: Annotated[Load, "what running it takes"]


class ModelInfo(TypedDict):
    """Everything known about one model."""

    name: Annotated[str, "its name"]
    catalog: Annotated[CatalogModel | None, "its entry in the catalog", at("entry")]
    installed: Annotated[list[InstalledModel], "one for each folder that has it"]
    gguf: Annotated[list[Gguf], "its installed GGUF files"]
    partial: Annotated[list[PartialFile], "its partial downloads", at("partials")]
    running: Annotated[Load | None, "what running it takes; null for what is no GGUF file"]
    quantisations: Annotated[list[Quantisation], "of a Hub repository: its models, the smallest first"]


def _percent(run: Any) -> int | None:
    return None if run.total is None else percent(run.done, run.total)


class Running(TypedDict):
    """A model that is being installed now, by any process."""

    model: Annotated[str, "what was asked for; of a long reference the end"]
    command: Annotated[str, "the command that installs it"]
    folder: Annotated[str, "the models folder"]
    names: Annotated[Sequence[str], "its files, as paths below the folder"]
    done: Annotated[int, "bytes of all files"]
    total: Annotated[int | None, "bytes in all"]
    percent: Annotated[int | None, "done of total, rounded down", _percent]
    rate: Annotated[float, "bytes per second"]
    seconds_left: Annotated[int | None, "at this rate", lambda run: seconds_left(run.done, run.total, run.rate)]
    pid: Annotated[int, "process ID"]
    host: Annotated[str, "the machine that the process runs on"]
    user: Annotated[str, "who runs it"]
    since: Annotated[str, "time when it began"]


class Setting(TypedDict):
    """A setting; see `luci help settings`."""

    name: Annotated[str, "key of config.json"]
    value: Annotated[
        object, "null for none; sizes in bytes; a speed limit with times of day as text; the raw value if it is invalid"
    ]
    origin: Annotated[str, '"default", "config.json" or an environment variable']
    purpose: Annotated[str | None, "what it is for; null if luci does not know the key"]
    problem: Annotated[
        str | None,
        "why the value is invalid; null if it is valid",
        lambda state: state.problem and state.problem.message,
    ]


class HeldFile(TypedDict):
    """A file of a model that a program on this machine holds."""

    program: Annotated[str, 'the program, like "Ollama"; "luci" for installed models', at("file.program")]
    name: Annotated[str, "what the program calls it", at("file.name")]
    path: Annotated[str, "where it is", at("file.path")]
    size: Annotated[int, "bytes", at("file.size")]
    sha256: Annotated[str | None, "64 hex digits; null if it is unknown", lambda found: found.file.sha256 or None]
    twice: Annotated[
        Sequence[str],
        "paths with the same bytes elsewhere on the disk; reflinks are not told from copies",
        lambda found: [str(each.path) for each in found.twice],
    ]
    perhaps: Annotated[
        Sequence[str],
        "paths of the same size elsewhere on the disk, where a digest is unknown",
        lambda found: [str(each.path) for each in found.perhaps],
    ]
    shared: Annotated[
        Sequence[str],
        "other names of the same file, which take no room",
        lambda found: [str(each.path) for each in found.shared],
    ]


class LinkProblem(TypedDict):
    """What is wrong with one name that a link made."""

    path: Annotated[str, "where", itemgetter(0)]
    problem: Annotated[str, "what is wrong", itemgetter(1)]


class LinkState(TypedDict):
    """A link of a model to another program."""

    model: Annotated[str, "the reference that it was installed by", at("link.reference")]
    folder: Annotated[str, "its models folder", at("link.folder")]
    target: Annotated[str, 'the program, or "folder"', at("link.target")]
    root: Annotated[str, "the program's folder", at("link.root")]
    name: Annotated[str, "what the program calls the model", at("link.name")]
    problems: Annotated[list[LinkProblem], "empty if nothing is wrong"]


class Standing(TypedDict):
    """How an installed model compares with what its reference names now."""

    name: Annotated[str, "the reference that it was installed by", at("model.reference")]
    folder: Annotated[str, "its models folder", at("model.folder")]
    state: Annotated[str, '"current", "outdated", "gone", "unknown" or "pinned"']
    reason: Annotated[str, "why it is gone, unknown or pinned, or outdated with the same files; else empty"]
    installed: Annotated[str, "SHA-256 of the file to load", at("installed_sha256")]
    available: Annotated[str | None, "SHA-256 of the file to load now, if it is known", at("available_sha256")]
    fetch: Annotated[int | None, "bytes that an upgrade would fetch"]


class Override(TypedDict):
    """A name for which a catalog replaces a built-in model."""

    name: Annotated[str, "the name or alias", at("word")]
    model: Annotated[str, "the model that it now means"]
    built_in: Annotated[str, "the built-in model that it meant"]


class CatalogCheck(TypedDict):
    """What is wrong with a catalog, and what it changes."""

    file: Annotated[str | None, "the catalog; null if you have none"]
    models: Annotated[int, "valid models in it", lambda checked: len(checked.models)]
    files: Annotated[int, "their files"]
    without_digest: Annotated[Sequence[str], "names of files that cannot be verified"]
    overrides: Annotated[list[Override], "what it changes of the built-in catalog"]
    warnings: Annotated[Sequence[str], "what some command will refuse"]
    problems: Annotated[Sequence[str], "errors; with any of them no command uses the file"]


class CatalogAdd(TypedDict):
    """What was added to your catalog."""

    file: Annotated[str, "your catalog"]
    added: Annotated[Sequence[str], "names of new models", at("new")]
    replaced: Annotated[Sequence[str], "names of models that were replaced"]
    unchanged: Annotated[Sequence[str], "names of models that were there already", at("same")]


class Change(TypedDict):
    """A value of your catalog that the Hub has changed."""

    model: Annotated[str, "its name"]
    file: Annotated[str, "file name"]
    key: Annotated[str, "key of the catalog"]
    old: Annotated[str | int | None, "value before; null if it was unknown"]
    new: Annotated[str | int, "value now"]


class UpdateProblem(TypedDict):
    """Why files were not compared."""

    message: Annotated[str, "what went wrong"]
    hint: Annotated[str, "what to do; may be empty"]
    exit_code: Annotated[int, "the first one is the exit code of the command"]


class CatalogUpdate(TypedDict):
    """How your catalog differs from the Hub."""

    file: Annotated[str, "your catalog"]
    written: Annotated[bool, "whether changes were written"]
    compared: Annotated[int, "files that were compared"]
    skipped: Annotated[int, "files that could not be compared", at("left")]
    not_on_hub: Annotated[int, "files that are not on the Hub", at("elsewhere")]
    changes: Annotated[list[Change], "one for each value"]
    problems: Annotated[list[UpdateProblem], "one for each repository that could not be read"]


ANSWERS: dict[str, Any] = {
    "list": list[InstalledModel],
    "list --available": list[OfferedModel],
    "list --everywhere": list[HeldFile],
    "search": list[OfferedModel],
    "info": ModelInfo,
    "path": InstalledModel,
    "link --list": list[LinkState],
    "outdated": list[Standing],
    "status": list[Running],
    "config list": list[Setting],
    "config get": Setting,
    "config set": Setting,
    "config unset": Setting | None,
    "catalog list": list[OfferedModel],
    "catalog check": CatalogCheck,
    "catalog add": CatalogAdd,
    "catalog update": CatalogUpdate,
    "version": Mapping[str, str],
}
"""What each command prints that does not print events."""
