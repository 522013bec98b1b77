"""Make one model of several of a camera."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compute import estimators
from compute.errors import ModelError
from ingest.label_skeletons import insert_label_skeleton
from ingest.models import ImportedModel, check_name_is_free, describe_imported_model
from schemas.labels import Skeleton
from schemas.model import EnsembleMember, Model, hash_model, insert_model
from schemas.stored.publishing import published_or_removed
from schemas.trained_on import TrainedOn


def make_ensemble(name: str, members: Sequence[str]) -> ImportedModel:
    """Make an ensemble of models; the same members again, in any order, are the same ensemble.

    Its training mice are those of its members, and not all known if those of one are not.

    Parameters
    ----------
    name : str
        For people; no two models of a camera have one name.
    members : sequence of str
        Two models or more of one camera, by their id or name, with the same nodes.

    Raises
    ------
    ModelError
        If there is no such model, one is named twice or is an ensemble itself, they are of several cameras, differ in
        their nodes or in the size of their frames, or the name is another model's. Nothing is made then.
    """
    rows = [_find_model(member) for member in members]
    ids = [str(row["model_id"]) for row in rows]
    if len(set(ids)) < len(ids):
        raise ModelError(f"ensemble {name}: a model is named twice in {', '.join(members)}; name each once")
    cameras = sorted({row["camera"] for row in rows})
    if len(cameras) > 1:
        raise ModelError(
            f"ensemble {name}: its members are of the cameras {', '.join(cameras)}; expected models of one camera"
        )
    kind = estimators.combining_estimator()
    with tempfile.TemporaryDirectory(prefix="orofacial-") as temporary:
        bundle = Path(temporary) / "bundle"
        info = kind.combine({model_id: _describe(row) for model_id, row in zip(ids, rows, strict=True)}, bundle)
        known = (Model & {"model_id": hash_model(bundle)}).to_dicts()
        if known:
            _check_known_name(name, known[0])
            return describe_imported_model(str(known[0]["model_id"]), is_new=False)
        with Model.connection.transaction, published_or_removed():
            check_name_is_free(name, cameras[0], Path(name))
            model_id = insert_model(
                bundle,
                estimator=kind.name,
                camera=cameras[0],
                skeleton_id=insert_label_skeleton(info.nodes, info.edges),
                names=[name],
                trained_on=TrainedOn(),
            )
    return describe_imported_model(model_id, is_new=True)


def _find_model(member: str) -> dict[str, Any]:
    """The row of a model by its id or name."""
    rows: list[dict[str, Any]] = Model.proj("camera", "model_name", "skeleton_id", "width_px", "height_px").to_dicts()
    fits = [row for row in rows if row["model_id"] == member] or [r for r in rows if r["model_name"] == member]
    if len(fits) == 1:
        return fits[0]
    if fits:
        which = ", ".join(f"{row['model_id']} (camera {row['camera']})" for row in fits)
        raise ModelError(f"several models are called {member!r}: {which}. Name one by its id")
    known = ", ".join(f"{row['model_name']} ({row['model_id']})" for row in rows) or "none yet"
    raise ModelError(f"no model {member!r}; known are {known}. See 'orofacial model list'")


def _describe(row: dict[str, Any]) -> estimators.BundleInfo:
    """What the database says of a model, as its bundle would."""
    skeleton = Skeleton & {"skeleton_id": row["skeleton_id"]}
    edges = (Skeleton.Edge & skeleton).to_dicts(order_by="edge_index")
    members = (EnsembleMember & {"model_id": row["model_id"]}).to_arrays("member_id", order_by="member_id")
    return estimators.BundleInfo(
        nodes=tuple(map(str, skeleton.nodes())),
        edges=tuple((str(edge["source_node"]), str(edge["target_node"])) for edge in edges),
        minimum_score=0.0,
        width_px=row["width_px"],
        height_px=row["height_px"],
        members=tuple(map(str, members)),
    )


def _check_known_name(name: str, model: dict[str, Any]) -> None:
    if model["model_name"] != name:
        raise ModelError(
            f"ensemble {name}: these members are the ensemble {model['model_id']} already, which is called"
            f" {model['model_name']!r}. Use that one"
        )
