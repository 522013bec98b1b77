"""Which models an answer is about: the deployed one of each camera, or others by choice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from compute.errors import SeveralModelsWarning
from compute.text import count_text, names_text, nearest_names
from pipeline.query.checks import QueryError, checked_texts
from schemas.model import DeployedModel, Model
from schemas.pose import PoseEstimation
from schemas.session import Video

ALL_MODELS = "all"
"""The choice of every model, deployed or not."""

Choice = str | Sequence[str] | None
"""What a question says of models: None means the deployed ones."""


def chosen_models(model: Choice = None) -> Any:
    """Restriction of rows that have a model to the models that an answer is about.

    Deployed models are asked for first and named: each table more in a query doubles the time that a server plans it.

    Parameters
    ----------
    model : str or sequence of str, optional
        Models by their id or name, or ``all``. Without it, the deployed model of each camera.

    Raises
    ------
    QueryError
        If there is no such model, or several of one camera have the name; the message lists them.
    """
    named = checked_texts("model", model)
    if not named:
        return [{"model_id": model_id} for model_id in DeployedModel.to_arrays("model_id")]
    return Model.proj() if ALL_MODELS in named else [{"model_id": model_id} for model_id in _ids_of(named)]


def model_text(row: Mapping[str, Any]) -> str:
    """A model's name and id for people, from a row that has both.

    Examples
    --------
    >>> model_text({"model_id": "18795d0f24772f4a", "model_name": "tiny"})
    'tiny (18795d0f24772f4a)'
    """
    return f"{row['model_name']} ({row['model_id']})"


def model_line(row: Mapping[str, Any]) -> str:
    """A model as the heading of its results, from a row of `describe_chosen_models`.

    Examples
    --------
    >>> model_line({"camera": "side", "model_id": "18795d0f24772f4a", "model_name": "tiny", "is_deployed": False})
    'camera side, model tiny (18795d0f24772f4a), not deployed'
    """
    return f"camera {row['camera']}, model {model_text(row)}, {'' if row['is_deployed'] else 'not '}deployed"


def describe_chosen_models(model: Choice = None) -> list[dict[str, Any]]:
    """Camera, id and name of the chosen models, and whether each is deployed; by camera, the deployed ones first."""
    deployed = set(DeployedModel.to_arrays("model_id"))
    rows = (Model.proj("camera", "model_name") & chosen_models(model)).to_dicts(order_by="created_at")
    described = [{**row, "is_deployed": row["model_id"] in deployed} for row in rows]
    return sorted(described, key=lambda row: (row["camera"], not row["is_deployed"]))


def warn_of_several_models(found: Iterable[Mapping[str, Any]], model: Choice, *, stacklevel: int) -> None:
    """Warn where an answer of deployed models has a video more than once: once for each model of its camera.

    Parameters
    ----------
    found : iterable of mapping
        The answer's rows, with the key of their video and ``model_id``.
    model : str or sequence of str, optional
        What the question says of models. Where it names one, or all, nothing is said.
    stacklevel : int
        As of `warnings.warn`, from the caller.
    """
    found = list(found)
    with_models = [camera for camera, _ in {(row["camera"], row["model_id"]) for row in found}]
    cameras = sorted({camera for camera in with_models if with_models.count(camera) > 1})
    if model is not None or not cameras:
        return
    videos: dict[tuple[Any, ...], set[str]] = {}
    for row in found:
        if row["camera"] in cameras:
            videos.setdefault((row["camera"], _video(row)), set()).add(row["model_id"])
    several: dict[str, list[set[str]]] = {}
    for (camera, _), models in videos.items():
        if len(models) > 1:
            several.setdefault(camera, []).append(models)
    if not several:
        return
    names = {row["model_id"]: model_text(row) for row in Model.proj("model_name").to_dicts()}
    said = [
        f"{count_text(len(sets), 'video')} of camera {camera}, once by each of "
        + ", ".join(sorted(names[model_id] for model_id in set().union(*sets)))
        for camera, sets in sorted(several.items())
    ]
    text = f"several models are deployed, and this answer has {'; '.join(said)}"
    choice = "For one of them choose model=... (--model in a shell)"
    warnings.warn(f"{text}. {choice}", SeveralModelsWarning, stacklevel=stacklevel + 1)


def left_out_models(found: Iterable[Mapping[str, Any]], everything: Callable[[], Any]) -> str:
    """What an answer of deployed models leaves out: videos on which only other models have run.

    Parameters
    ----------
    found : iterable of mapping
        The answer's rows, with the key of their video.
    everything : callable
        Returns, as an expression of DataJoint, what fits with any model: with the key of the video, ``model_id`` and
        ``model_name``. It is only called where there are other models.

    Returns
    -------
    str
        For each camera, which models have run on how many videos, and what to do; empty if nothing is left out.
    """
    if not Model.proj() - DeployedModel.proj():
        return ""
    others = (everything() - DeployedModel.proj()).proj("model_name")
    names = others.heading.names
    rows = [dict(zip(names, row, strict=True)) for row in others.cursor().fetchall()]
    here = {_video(row) for row in found}
    rows = [row for row in rows if _video(row) not in here]
    if not rows:
        return ""
    cameras = [{"camera": camera} for camera in sorted({row["camera"] for row in rows})]
    estimated = {_video(key) for key in (PoseEstimation & DeployedModel.proj() & cameras).proj().to_dicts()}
    rows = [row for row in rows if _video(row) not in estimated]
    said = [
        _left_out_of_camera(one["camera"], [row for row in rows if row["camera"] == one["camera"]]) for one in cameras
    ]
    return "; ".join(text for text in said if text)


def _left_out_of_camera(camera: str, rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    videos: dict[tuple[str, str], set[Any]] = {}
    for row in rows:
        videos.setdefault((row["model_id"], row["model_name"]), set()).add(_video(row))
    ran = ", ".join(
        f"{name} ({model_id}) of {count_text(len(of), 'video')}" for (model_id, name), of in sorted(videos.items())
    )
    deployed = (Model.proj("model_name") & (DeployedModel & {"camera": camera}).proj()).to_dicts()
    if deployed:
        why = f"{', '.join(map(model_text, deployed))} is deployed for camera {camera} and has not run on them yet"
        what = "run 'orofacial populate'"
    else:
        why = f"no model is deployed for camera {camera}"
        what = f"deploy one (orofacial model deploy {rows[0]['model_id']})"
    choice = rows[0]["model_id"] if len(videos) == 1 else ALL_MODELS
    return (
        f"left out are tracks of model {ran}: {why}. To see them choose model={choice!r} (--model {choice} in a"
        f" shell), or {what}"
    )


def _video(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in Video.primary_key)


def _ids_of(named: Sequence[str]) -> list[str]:
    """The ids of models by their id or name."""
    models: list[dict[str, Any]] = Model.proj("camera", "model_name").to_dicts(order_by="camera, created_at")
    ids: list[str] = []
    for name in named:
        fits = [row for row in models if row["model_id"] == name] or [r for r in models if r["model_name"] == name]
        if not fits:
            near = nearest_names(name, [row[column] for row in models for column in ("model_name", "model_id")])
            nearest = f"nearest is {names_text(near)}; " if near else ""
            known = ", ".join(map(model_text, models)) or "none yet"
            raise QueryError(
                f"no model {name!r} in the database; {nearest}known are {known}. {ALL_MODELS!r} means all of"
                " them; without a model, the deployed one of each camera is asked for"
            )
        if len({row["camera"] for row in fits}) < len(fits):
            which = ", ".join(f"{row['model_id']} (camera {row['camera']})" for row in fits)
            raise QueryError(f"several models are called {name!r}: {which}. Name one by its id")
        ids += [row["model_id"] for row in fits]
    return ids
