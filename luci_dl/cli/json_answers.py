"""Builds the JSON of the commands that answer a question."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from luci_dl.ui.figures import percent, seconds_left

if TYPE_CHECKING:  # each command loads what it needs itself
    from luci_dl.api.catalog import Offer
    from luci_dl.api.config import SettingState
    from luci_dl.api.info import GgufFile, Info, Partial
    from luci_dl.api.list import InstalledFile, InstalledModel
    from luci_dl.api.status import Running
    from luci_dl.cli import json_shapes as shapes
    from luci_dl.model import Model


def catalog_model_json(model: Model) -> shapes.CatalogModel:
    """A model of the catalog."""
    return {
        "name": model.reference,
        "aliases": model.aliases,
        "groups": model.groups,
        "tier": model.tier,
        "license": model.license,
        "size": model.size,
        "files": [
            {
                "name": artifact.name,
                "role": artifact.role,
                "size": artifact.size,
                "sha256": artifact.sha256,
                "lfs_pointer_sha1": artifact.lfs_pointer_sha1,
                "urls": artifact.urls,
            }
            for artifact in model.artifacts
        ],
    }


def offered_model_json(offer: Offer) -> shapes.OfferedModel:
    """A model of the catalog, and whether this machine has it or could hold it."""
    fits: shapes.Fit = {"disk": offer.fit.disk, "memory": offer.fit.memory}
    return {**catalog_model_json(offer.model), "installed": offer.installed, "fits": fits}


def installed_model_json(model: InstalledModel) -> shapes.InstalledModel:
    """An installed model."""
    return {
        "name": model.reference,
        "folder": str(model.folder),
        "path": str(model.to_load.path),
        "size": model.size,
        "state": model.state,
        "files": list(map(_installed_file, model.files)),
    }


def _installed_file(file: InstalledFile) -> shapes.InstalledFile:
    return {
        "path": str(file.path),
        "role": file.receipt.role,
        "size": file.receipt.size,
        "sha256": file.receipt.sha256,
        "proof": file.receipt.proof,
        "url": file.receipt.url,
        "installed_at": file.receipt.installed,
        "verified_at": file.receipt.verified,
        "state": file.state,
    }


def model_info_json(info: Info) -> shapes.ModelInfo:
    """Everything known about one model."""
    return {
        "name": info.name,
        "catalog": catalog_model_json(info.entry) if info.entry else None,
        "installed": list(map(installed_model_json, info.installed)),
        "gguf": list(map(_gguf, info.gguf)),
        "partial": list(map(_partial, info.partials)),
    }


def _gguf(file: GgufFile) -> shapes.Gguf:
    header = file.header and asdict(file.header) | {"tensor_types": dict(file.header.tensor_types)}
    return {"path": str(file.path), "header": cast("shapes.GgufHeader | None", header), "problem": file.problem}


def _partial(partial: Partial) -> shapes.PartialFile:
    return {
        "path": str(partial.path),
        "target": str(partial.folder / partial.name),
        "done": partial.done,
        "total": partial.total,
        "running": partial.running,
    }


def running_json(run: Running) -> shapes.Running:
    """A model that is being installed now."""
    figures = {
        "percent": None if run.total is None else percent(run.done, run.total),
        "seconds_left": seconds_left(run.done, run.total, run.rate),
    }
    return cast("shapes.Running", asdict(run) | {"folder": str(run.folder)} | figures)


def setting_json(state: SettingState) -> shapes.Setting:
    """One setting."""
    return {
        "name": state.name,
        "value": state.value,
        "origin": state.origin,
        "purpose": state.purpose,
        "problem": state.problem.message if state.problem else None,
    }
