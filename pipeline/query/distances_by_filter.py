"""How constant each distance is, by filter, for each group of mice: in a model's training set, held out, not known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.query.chosen_models import Choice, chosen_models
from schemas.metric import DistanceMetrics, NodePair
from schemas.model import Model
from schemas.training_mice import TRAINING_GROUPS, TrainingMice


@dataclass(frozen=True)
class DistanceRow:
    """Distance of a node pair after a filter, over all videos of one group of mice.

    Attributes
    ----------
    pair : str
        Both nodes, such as ``left_snout_tip - right_snout_tip``.
    group : {"in training", "held out", "not known"}
        Whether the mice were in the model's training set.
    mean_px, variance_px2 : float or None
        Mean over videos of the mean and of the variance within each video (px, px²); None if never seen.
    mean_mm, variance_mm2 : float or None
        The same in mm; None without a scale.
    fraction_missing : float
        Mean over videos of the fraction of frames without the distance.
    """

    camera: str
    model_id: str
    model_name: str
    pair: str
    kind: str
    filter_method: str
    group: str
    n_videos: int
    n_mice: int
    mean_px: float | None
    variance_px2: float | None
    mean_mm: float | None
    variance_mm2: float | None
    fraction_missing: float


def distance_comparison(*, model: Choice = None) -> list[DistanceRow]:
    """Compare distances, ordered by camera, model, pair, filter and group.

    Parameters
    ----------
    model : str or sequence of str, optional
        As of `pipeline.query.Question`: without it, the deployed model of each camera.
    """
    groups: dict[tuple[str, str, str, str, str, str, str], list[dict[str, Any]]] = {}
    for row in distance_rows(model=model):
        of_pair = (row["pair"], row["pair_kind"], row["filter_method"], row["group"])
        groups.setdefault((row["camera"], row["model_id"], row["model_name"], *of_pair), []).append(row)
    order = sorted(groups, key=lambda key: (*key[:4], key[5] != "raw", key[5], TRAINING_GROUPS.index(key[6])))
    return [
        DistanceRow(
            *key,
            n_videos=len(groups[key]),
            n_mice=len({row["mouse_id"] for row in groups[key]}),
            mean_px=_mean(row["mean_px"] for row in groups[key]),
            variance_px2=_mean(row["variance_px2"] for row in groups[key]),
            mean_mm=_mean(row["mean_mm"] for row in groups[key]),
            variance_mm2=_mean(row["variance_mm2"] for row in groups[key]),
            fraction_missing=float(np.mean([row["fraction_missing"] for row in groups[key]])),
        )
        for key in order
    ]


def distance_rows(*, model: Choice = None) -> list[dict[str, Any]]:
    """Rows of `DistanceMetrics`, with ``model_name``, ``pair``, ``pair_kind`` and the ``group`` of the mouse.

    Parameters
    ----------
    model : str or sequence of str, optional
        As of `pipeline.query.Question`: without it, the deployed model of each camera.
    """
    groups = TrainingMice.fetch()
    measured = DistanceMetrics * NodePair.proj("pair_kind") * Model.proj("model_name")
    rows: list[dict[str, Any]] = (measured & chosen_models(model)).to_dicts()
    for row in rows:
        row["pair"] = f"{row['node_a']} - {row['node_b']}"
        row["group"] = groups.group(row)
    return rows


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
