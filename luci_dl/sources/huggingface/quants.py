"""Selects the files of one model in a repository: by quantisation, with all shards and the projector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from luci_dl.errors import NotFound, ResolveError
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.hub import is_projector
from luci_dl.text import did_you_mean, human_size, nearest, printable

PREFERRED = ("Q4_K_M", "Q8_0")
"""The quantisations to take when none is named, in this order, as llama.cpp does."""

_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<kind>\.\w+)", re.DOTALL)
_LABEL = re.compile(r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d|TQ\d|MXFP\d|NVFP\d|BF16|F16|F32|FP16)(?:_[A-Z0-9]+)*)", re.I)
_COMPANION = re.compile(
    r"(?<![a-z0-9])(imatrix|draft|mtp|nextn|eagle\d*|dflash|dspark|speculator|lora|adapter|vocab)(?![a-z0-9])", re.I
)
"""In the path of a file that only works beside a model. It counts only if there are others in the repository."""
_MAX_SHOWN = 40


def choose(files: Sequence[RepoFile], quant: str, what: str) -> list[RepoFile]:
    """The one model of that quantisation ("" for the preferred ones), with all its shards in order.

    Args:
        files: of the repository, or of one folder of it.
        what: what messages call these files.

    Raises: ResolveError, when none matches, or several do.
    """
    models = _models(files)
    if not models:
        total = human_size(sum(file.size for file in files))
        hint = f"--all-files installs all its files ({len(files)} files, {total}), --include GLOB some of them."
        raise NotFound(f"{what} has no GGUF file", hint)
    if not _COMPANION.search(quant):
        models = _without_companions(models)
    for wanted in [quant] if quant else PREFERRED:
        matching = _matching(models, wanted)
        if len(matching) == 1:
            return whole(matching[0], files)
        if matching:
            raise _which(f"{what} has {len(matching)} models that match {wanted}", matching)
    if quant:
        labels = {label.casefold(): label for model in models for label in _LABEL.findall(model[0].path)}
        guess = did_you_mean(*(labels[label] for label in nearest(quant, labels, 3)))
        it_has = f"{guess} It has" if guess else "; it has"
        raise _which(f"{what} has no model that matches {printable(quant)}{it_has}", models, NotFound)
    if len(models) == 1:
        return whole(models[0], files)
    raise _which(f"{what} has {len(models)} models, but neither {' nor '.join(PREFERRED)}", models)


def models_of(files: Sequence[RepoFile]) -> list[list[RepoFile]]:
    """The GGUF files that are models of their own, the shards of one model together."""
    return _without_companions(_models(files))


def whole(model: Sequence[RepoFile], files: Iterable[RepoFile]) -> list[RepoFile]:
    """The file itself, or all shards of a sharded one, in order. Raises: ResolveError, when a shard is missing."""
    found = _SHARD.fullmatch(model[0].path)
    if found is None:
        return list(model)
    count, by_path = int(found["count"]), {file.path: file for file in files}
    paths = [f"{found['stem']}-{number:05}-of-{found['count']}{found['kind']}" for number in range(1, count + 1)]
    missing = [path for path in paths if path not in by_path]
    if missing or not paths:
        lacks = f"{len(missing)} of {count} shards, the first of them {missing[0]}" if missing else "every shard"
        raise ResolveError(
            f"{printable(found['stem'])}: the repository lacks {printable(lacks)}",
            "Its owner may be uploading them now; try again later, or choose another quantisation.",
        )
    return [by_path[path] for path in paths]


def projectors(files: Iterable[RepoFile]) -> list[RepoFile]:
    return [file for file in files if is_projector(file.path)]


def projector_for(model: RepoFile, files: Sequence[RepoFile]) -> RepoFile | None:
    """The projector in the model's folder or the nearest folder above it whose precision is nearest to the model's.

    This is llama.cpp's choice; of two with the same precision F16 is preferred to BF16, since it runs everywhere.
    Without one there it is of the only other folder that has projectors but no model that they could belong to.
    """
    folder = _folder(model.path)

    def distance(file: RepoFile) -> tuple[int, int, bool, str]:
        bits, label = bits_of(file.path), label_of(file.path)
        return -len(_folder(file.path)), abs(bits - bits_of(model.path)), label.casefold() == "bf16", file.path

    above = [file for file in projectors(files) if _folder(file.path) == folder[: len(_folder(file.path))]]
    if not above:
        taken = [_folder(models[0].path) for models in _models(files)]
        above = [file for file in projectors(files) if _folder(file.path) not in taken]
        if len({tuple(_folder(file.path)) for file in above}) > 1:
            return None
    return min(above, key=distance, default=None)


def near_paths(path: str, files: Iterable[RepoFile]) -> list[str]:
    """Paths similar to a misspelt one, as a whole or by the file name alone."""
    by_path = {file.path.casefold()[-200:]: file.path for file in files}
    by_name = {text.rpartition("/")[2]: known for text, known in by_path.items()}
    whole_path = [by_path[text] for text in nearest(path, by_path, 3)]
    return list(
        dict.fromkeys([*whole_path, *(by_name[text] for text in nearest(path.rpartition("/")[2], by_name, 3))])
    )[:3]


def _models(files: Iterable[RepoFile]) -> list[list[RepoFile]]:
    """The GGUF files that are models, the shards of one model together."""
    models: dict[tuple[str, str], list[RepoFile]] = {}
    for file in files:
        name = _name(file.path)
        _, imatrix, after = name.casefold().partition("imatrix")
        is_data = imatrix and not _LABEL.search(after)  # what a quantisation was made with, not one made with it
        if name.casefold().endswith(".gguf") and not is_projector(file.path) and not is_data:
            found = _SHARD.fullmatch(file.path)
            key = (found["stem"], found["count"]) if found else (file.path, "")
            models.setdefault(key, []).append(file)
    return list(models.values())


def _without_companions(models: list[list[RepoFile]]) -> list[list[RepoFile]]:
    return [model for model in models if not _COMPANION.search(model[0].path)] or models


def _matching(models: Sequence[list[RepoFile]], quant: str) -> list[list[RepoFile]]:
    """Those that are labelled exactly so, or else those that have the text in their path: UD-Q4_K_M for Q4_K_M."""
    exact = [model for model in models if label_of(model[0].path).casefold() == quant.casefold()]
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(quant)}[./-]", re.IGNORECASE)
    return exact or [model for model in models if word.search(model[0].path)]


def _which(problem: str, models: Sequence[Sequence[RepoFile]], kind: type[ResolveError] = ResolveError) -> ResolveError:
    lines = [f"   {human_size(sum(file.size for file in model)):>6}  {_named(model)}" for model in models[:_MAX_SHOWN]]
    if len(models) > _MAX_SHOWN:
        lines.append(f"   and {len(models) - _MAX_SHOWN} more")
    return kind("\n".join([f"{problem}:", *lines]), "Name one: hf:OWNER/REPO:QUANT, or hf:OWNER/REPO/FILE.")


def _named(model: Sequence[RepoFile]) -> str:
    return printable(model[0].path) + (f" ({len(model)} shards)" if _SHARD.fullmatch(model[0].path) else "")


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> list[str]:
    return path.split("/")[:-1]


def label_of(path: str) -> str:
    """The last quantisation in the path; empty without one."""
    labels: list[str] = _LABEL.findall(path)
    return labels[-1] if labels else ""


def bits_of(path: str) -> int:
    """The bits of each number, by the last quantisation in the path; 0 without one."""
    digits = re.search(r"\d+", label_of(path))
    return int(digits[0]) if digits else 0
