"""Deploy a model: it runs on every new video of its camera."""

from __future__ import annotations

from compute.errors import ModelError
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
    camera = _camera_of(model_id)
    others = DeployedModel & {"camera": camera} & f"model_id != '{model_id}'"
    replaced = [] if beside else [str(model) for model in others.to_arrays("model_id")]
    with DeployedModel.connection.transaction:
        if replaced:
            others.delete_quick()
        DeployedModel.insert1({"camera": camera, "model_id": model_id}, skip_duplicates=True)
    return replaced


def deploy_if_first(model_id: str, wish: bool | None) -> bool:
    """Deploy a new model if requested; by default, if its camera has none yet. Return whether it was deployed."""
    first = not DeployedModel & {"camera": _camera_of(model_id)}
    if wish or (wish is None and first):
        deploy(model_id)
    return bool(DeployedModel & {"model_id": model_id})


def undeploy(model_id: str) -> None:
    """Undeploy a model. Its results stay."""
    _camera_of(model_id)
    (DeployedModel & {"model_id": model_id}).delete_quick()


def _camera_of(model_id: str) -> str:
    cameras = (Model & {"model_id": model_id}).to_arrays("camera")
    if not len(cameras):
        known = ", ".join(Model.to_arrays("model_id", order_by="created_at")) or "none yet"
        raise ModelError(f"no model {model_id!r}; known are {known}. See 'orofacial model list'")
    return str(cameras[0])
