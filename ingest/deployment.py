"""Deploy a model: it runs on every new video of its camera."""

from __future__ import annotations

import math

from compute.errors import ModelError
from schemas.evaluation import ModelEvaluation, first_model_evaluation
from schemas.labels import LabeledFrames
from schemas.model import DeployedModel, Model


def deploy(model_id: str, *, beside: bool = False) -> list[str]:
    """Deploy a model: it runs on every video of its camera. Return the models that it replaces.

    Parameters
    ----------
    model_id : str
        A row of `Model`.
    beside : bool
        Keep the camera's other models deployed.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    camera = camera_of_model(model_id)
    others = DeployedModel & {"camera": camera} & f"model_id != '{model_id}'"
    replaced = [] if beside else [str(model) for model in others.to_arrays("model_id")]
    with DeployedModel.connection.transaction:
        if replaced:
            others.delete_quick()
        DeployedModel.insert1({"camera": camera, "model_id": model_id}, skip_duplicates=True)
    return replaced


MOST_MISSED = 0.5
"""Fraction of placed points from which on a model that missed them is not deployed by itself."""

FARTHEST_OF_FRAME = 0.1
"""Median error, as a fraction of the frame's diagonal, from which on a model is not deployed by itself.

A model that answers any place in the frame is about 0.5 diagonals off, one that always answers the middle 0.25.
"""


def deploy_if_first(model_id: str, wish: bool | None) -> bool:
    """Deploy a new model if requested; by default, if its camera has none yet and nothing speaks against it.

    Parameters
    ----------
    model_id : str
        A row of `Model`.
    wish : bool, optional
        Whether to deploy it; without it, the default.

    Returns
    -------
    bool
        Whether it is deployed now.
    """
    first = not DeployedModel & {"camera": camera_of_model(model_id)}
    if wish or (wish is None and first and reason_against_deployment(model_id) is None):
        deploy(model_id)
    return bool(DeployedModel & {"model_id": model_id})


def reason_against_deployment(model_id: str) -> str | None:
    """Why a model should not run by itself, by its error on labeled frames; None: nothing speaks against it."""
    evaluation = first_model_evaluation(model_id)
    if evaluation is None or not evaluation["n_evaluated_frames"]:
        return None
    key = {name: evaluation[name] for name in ModelEvaluation.primary_key}
    nodes = (ModelEvaluation.Node & key).to_dicts()
    found, missed = (int(sum(node[name] for node in nodes)) for name in ("n_points", "n_missed"))
    frames = f"{evaluation['n_evaluated_frames']} labeled frames"
    if missed >= MOST_MISSED * (found + missed) > 0:
        return f"it missed {missed} of {found + missed} points in {frames}"
    size = (LabeledFrames & key).fetch1("image_width_px", "image_height_px")
    error_px, diagonal_px = evaluation["error_p50_px"], math.hypot(*size)
    if error_px is not None and error_px >= FARTHEST_OF_FRAME * diagonal_px:
        return f"its median error is {error_px:.3g} px in {frames} of {size[0]} x {size[1]} px"
    return None


def undeploy(model_id: str) -> None:
    """Undeploy a model. Its results stay."""
    camera_of_model(model_id)
    (DeployedModel & {"model_id": model_id}).delete_quick()


def camera_of_model(model_id: str) -> str:
    """The camera that a model is for.

    Raises
    ------
    ModelError
        If there is no such model; the message lists those there are.
    """
    cameras = (Model & {"model_id": model_id}).to_arrays("camera")
    if not len(cameras):
        known = ", ".join(Model.to_arrays("model_id", order_by="created_at")) or "none yet"
        raise ModelError(f"no model {model_id!r}; known are {known}. See 'orofacial model list'")
    return str(cameras[0])
