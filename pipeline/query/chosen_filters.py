"""Choose filters on the tracks of the database, and keep the choice as a row of `FilterMethod`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from compute.comparison.filter_choice import FilterChoice, chosen_node_filters, filter_choices
from compute.json_text import json_text
from compute.measures.lasting_noise import LASTING_FROM
from compute.tracks import Tracks
from ingest.filters import add_filter_method
from pipeline.query.chosen_models import Choice, chosen_models, left_out_models, warn_of_several_models
from pipeline.query.filter_comparison import ComparisonError
from pipeline.query.question import Question
from schemas.model import Model
from schemas.pose import PoseEstimation
from schemas.track import estimated_tracks

MOST_VIDEOS = 40
"""Largest number of videos to choose on, spread evenly; more would not change a choice."""


def choose_filters(*, camera: str | None = None, model: Choice = None) -> tuple[str, bool, list[FilterChoice]]:
    """Choose a filter for each node where that can be, and insert it as a row of `FilterMethod`.

    Where several models of a camera are deployed, a video counts once for each: a `SeveralModelsWarning` says so.

    Parameters
    ----------
    camera : str, optional
        Choose on the videos of this camera only.
    model : str or sequence of str, optional
        As of `pipeline.query.Question`: without it, the deployed model of each camera.

    Returns
    -------
    filter_method : str
        Name of the row: ``chosen_`` and a hash of what was chosen, so that the same choice is the same row.
    is_new : bool
        Whether the row was not there yet.
    choices : list of FilterChoice
        See `compute.comparison.filter_choice.filter_choices` for how. A node for which none was chosen has the Kalman
        smoother.

    Raises
    ------
    ComparisonError
        If there are no tracks to choose on, or no filter was chosen for any node.
    FilterError
        If the videos are too short.
    QueryError
        If there is no such model or camera.
    """
    Question(camera=camera).check_known([])
    of_camera = {} if camera is None else {"camera": camera}
    keys = (PoseEstimation & of_camera & chosen_models(model)).keys(
        order_by="mouse_id, session_date, session_number, camera, model_id"
    )
    if not keys:
        estimated = (PoseEstimation * Model.proj("model_name") & of_camera).proj("model_name")
        left_out = left_out_models([], lambda: estimated) if model is None else ""
        raise ComparisonError(
            "there are no tracks to choose on"
            + (f": {left_out}" if left_out else "; see 'orofacial status', then run 'orofacial populate'")
        )
    warn_of_several_models(keys, model, stacklevel=2)
    choices = filter_choices(_tracks(keys))
    filters = chosen_node_filters(choices)
    if not filters:
        raise ComparisonError(_none_chosen(choices))
    parameters = {"filters": filters}
    digest = hashlib.sha256(json_text(parameters, sort_keys=True, ascii_only=True).encode()).hexdigest()
    method = f"chosen_{digest[:8]}"
    return method, add_filter_method(method, "per_node", parameters), choices


def _none_chosen(choices: list[FilterChoice]) -> str:
    found = ", ".join(
        f"{one.node} {'unknown' if one.noise_correlation is None else format(one.noise_correlation, '.2f')}"
        for one in choices
    )
    return (
        "no filter was chosen, and none was written: the noise of every node lasts from frame to frame, or the node"
        f" never rests (correlation of neighbouring frames: {found}; expected below {LASTING_FROM}), so that hidden"
        " points say nothing of filters. Keep 'kalman', and label frames of these videos: 'orofacial compare' shows the"
        " error there"
    )


def _tracks(keys: list[dict[str, Any]]) -> Iterator[Tracks]:
    places = np.unique(np.linspace(0, len(keys) - 1, min(len(keys), MOST_VIDEOS)).round().astype(int))
    for place in places:
        yield estimated_tracks(keys[place])
