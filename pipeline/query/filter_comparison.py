"""Filters side by side: noise left, movement kept, error on labeled frames, each with its interval over mice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from datajoint import AndList
from numpy.typing import NDArray

from compute.comparison.common_points import common_points
from compute.comparison.intervals import (
    Interval,
    interval_of_geometric_mean,
    interval_of_mean,
    interval_of_ratio,
)
from compute.errors import LeftOutWarning, OrofacialError
from pipeline.query.chosen_models import (
    Choice,
    chosen_models,
    describe_chosen_models,
    left_out_models,
    warn_of_several_models,
)
from pipeline.query.label_summary import LabelSummary, label_summary
from pipeline.query.question import Question
from schemas.evaluation import ModelEvaluation
from schemas.metric import DistanceMetrics, FilterComparison, LabelError, NodePair, PairDefinition
from schemas.model import Model
from schemas.session import Video
from schemas.training_mice import TRAINING_GROUPS, TrainingMice

Row = dict[str, Any]


class ComparisonError(OrofacialError):
    """There is nothing to compare."""


@dataclass(frozen=True)
class FilterSummary:
    """One filter on one camera's videos: values and intervals over mice, each with the mean of its videos and pairs.

    Values are geometric means and ratios of them, the lag is a mean; see `compute.comparison.intervals`.

    Attributes
    ----------
    rigid_variance : Interval
        Variance of rigid distances over that of the raw tracks, both in the frames in which both have the distance.
    power_kept, noise_kept, lag_s, bout_amplitude_kept : Interval
        Of moving pairs, see `compute.measures.movement.MovementKept`; only of the videos in which it is known.
    fraction_missing : float
        Fraction of frames without the distance.
    held_out_over_training : Interval
        Variance of rigid distances of held-out mice over that of mice in training.
    labels : dict of str to LabelSummary
        By group of mice, in the order of `schemas.training_mice.TRAINING_GROUPS`. A group is missing where no labeled
        frame that the model has not seen is of an ingested video of its mice.
    """

    filter_method: str
    rigid_variance: Interval
    power_kept: Interval
    noise_kept: Interval
    lag_s: Interval
    bout_amplitude_kept: Interval
    fraction_missing: float
    held_out_over_training: Interval
    labels: dict[str, LabelSummary]


@dataclass(frozen=True)
class PairSummary:
    """A filter's distance of one pair: means over mice of each group.

    Attributes
    ----------
    variance_px2, mean_px : float or None
        Mean over videos of variance and mean of the distance, over all frames that this filter has.
    fraction_missing : float
        Fraction of frames without the distance.
    corrected_variance_px2, corrected_mean_px : float or None
        Of the real distance; None for a filter without posterior variance. Too small where the distance changes fast,
        too large where noise lasts: see `compute.measures.distances.distance_variance_px2`.
    length_px : float or None
        True length where it is known.
    band_hz : (float, float) or None
        Median band of a moving pair.
    """

    pair: str
    kind: str
    filter_method: str
    group: str
    n_mice: int
    variance_px2: float | None
    mean_px: float | None
    fraction_missing: float
    corrected_variance_px2: float | None
    corrected_mean_px: float | None
    length_px: float | None
    band_hz: tuple[float, float] | None
    power_kept: float | None
    noise_kept: float | None
    lag_s: float | None
    bout_amplitude_kept: float | None

    @property
    def lag_ms(self) -> float | None:
        """`lag_s` in ms."""
        return None if self.lag_s is None else 1000 * self.lag_s


@dataclass(frozen=True)
class ModelComparison:
    """All filters on the videos of one model."""

    camera: str
    model_id: str
    model_name: str
    is_deployed: bool
    n_mice: dict[str, int]
    """Mice by group: in training, held out, not known."""
    filters: list[FilterSummary]
    pairs: list[PairSummary]


def compare_filters(*, camera: str | None = None, model: Choice = None) -> list[ModelComparison]:
    """Compare all filters that have been computed, a model at a time.

    What only models have that are not deployed is left out with a `LeftOutWarning`, where no model is named; several
    deployed models of one video are compared each by itself, with a `SeveralModelsWarning`.

    Parameters
    ----------
    camera : str, optional
        Only of this camera.
    model : str or sequence of str, optional
        As of `pipeline.query.Question`: without it, the deployed model of each camera.

    Raises
    ------
    ComparisonError
        If nothing has been compared yet, or only of models that are not deployed.
    QueryError
        If there is no such model or camera.
    """
    Question(camera=camera).check_known([])
    of_camera = {} if camera is None else {"camera": camera}
    rows = comparison_rows([of_camera, chosen_models(model)])
    left_out = ""
    if model is None:
        everything = (FilterComparison * Model.proj("model_name") & of_camera).proj("model_name")
        left_out = left_out_models(rows, lambda: everything)
    if not rows:
        of = "" if camera is None else f" for camera {camera}"
        raise ComparisonError(f"no filters have been compared{of}{f': {left_out}' if left_out else _what_to_do()}")
    if left_out:
        warnings.warn(left_out, LeftOutWarning, stacklevel=2)
    warn_of_several_models(rows, model, stacklevel=2)
    errors = _label_rows([of_camera, chosen_models(model)])
    return [
        _model(one, [row for row in rows if _is_of(row, one)], [row for row in errors if _is_of(row, one)])
        for one in describe_chosen_models(model)
        if any(_is_of(row, one) for row in rows)
    ]


def _what_to_do() -> str:
    if not NodePair():
        return "; add node pairs ('orofacial pairs add'), then run 'orofacial populate'"
    return "; 'orofacial populate' computes what is missing, and says why where nothing can be"


def comparison_rows(restrictions: Iterable[Any]) -> list[Row]:
    """Rows of `FilterComparison` for what pairs are now, with `DistanceMetrics`, ``pair``, ``group`` and more.

    ``variance_over_raw`` is of the frames that both have, so that dropping frames is not taken for less noise.
    """
    compared = (FilterComparison & PairDefinition.current()) * DistanceMetrics * NodePair.proj("pair_kind")
    rows: list[Row] = (compared & AndList(restrictions)).to_dicts()
    groups = TrainingMice.fetch()
    for row in rows:
        row["pair"] = f"{row['node_a']} - {row['node_b']}"
        row["group"] = groups.group(row)
        before, after = row["common_raw_variance_px2"], row["common_variance_px2"]
        row["variance_over_raw"] = after / before if before and after is not None else None
    return rows


def _is_of(row: Row, model: Row) -> bool:
    return bool(row["model_id"] == model["model_id"])


def _label_rows(restrictions: Iterable[Any]) -> list[Row]:
    measured = LabelError * ModelEvaluation.proj("known_unseen") & "n_frames > 0"
    rows: list[Row] = (measured & AndList(restrictions)).to_dicts()
    groups = TrainingMice.fetch()
    return [{**row, "group": groups.group(row)} for row in rows]


def _model(model: Row, rows: list[Row], errors: list[Row]) -> ModelComparison:
    methods = sorted({row["filter_method"] for row in rows}, key=lambda name: (name != "raw", name))
    pairs = sorted({(row["pair_kind"], row["pair"]) for row in rows}, reverse=True)
    common = {group: _common([row for row in errors if row["group"] == group]) for group in TRAINING_GROUPS}
    raw: dict[Hashable, Any] = {_of_labels(row): row["error_px"] for row in errors if row["filter_method"] == "raw"}
    return ModelComparison(
        **model,
        n_mice={group: len({row["mouse_id"] for row in rows if row["group"] == group}) for group in TRAINING_GROUPS},
        filters=[
            _filter(
                method,
                [row for row in rows if row["filter_method"] == method],
                [row for row in errors if row["filter_method"] == method],
                common,
                raw,
            )
            for method in methods
        ],
        pairs=[
            _pair(kind, pair, method, group, found)
            for kind, pair in pairs
            for method in methods
            for group in TRAINING_GROUPS
            if (found := [r for r in rows if (r["pair"], r["filter_method"], r["group"]) == (pair, method, group)])
        ],
    )


def _filter(
    method: str,
    rows: list[Row],
    errors: list[Row],
    common: Mapping[str, Mapping[Hashable, NDArray[np.bool_]]],
    raw: Mapping[Hashable, NDArray[np.float64]],
) -> FilterSummary:
    rigid = [row for row in rows if row["pair_kind"] == "rigid"]
    training, held_out = (
        _by_mouse([row for row in rigid if row["group"] == group], "variance_px2") for group in TRAINING_GROUPS[:2]
    )
    return FilterSummary(
        filter_method=method,
        rigid_variance=interval_of_geometric_mean(_by_mouse(rigid, "variance_over_raw")),
        power_kept=interval_of_geometric_mean(_by_mouse(rows, "power_kept")),
        noise_kept=interval_of_geometric_mean(_by_mouse(rows, "noise_kept")),
        lag_s=interval_of_mean(_by_mouse(rows, "lag_s")),
        bout_amplitude_kept=interval_of_geometric_mean(_by_mouse(rows, "bout_amplitude_kept")),
        fraction_missing=float(np.mean([row["fraction_missing"] for row in rows])),
        held_out_over_training=interval_of_ratio(held_out, training),
        labels={
            group: _labels(found, common[group], raw)
            for group in TRAINING_GROUPS
            if (found := [row for row in errors if row["group"] == group])
        },
    )


def _labels(
    errors: list[Row], common: Mapping[Hashable, NDArray[np.bool_]], raw: Mapping[Hashable, NDArray[np.float64]]
) -> LabelSummary:
    return label_summary(
        [(row["mouse_id"], row["error_px"]) for row in errors],
        known_unseen=all(row["known_unseen"] for row in errors),
        common=[common[_of_labels(row)] for row in errors],
        raw=[raw.get(_of_labels(row)) for row in errors],
    )


def _common(errors: list[Row]) -> dict[Hashable, NDArray[np.bool_]]:
    """Placed points that all filters have, by video and labels."""
    by_filter: dict[str, dict[Hashable, NDArray[Any]]] = {}
    for row in errors:
        by_filter.setdefault(row["filter_method"], {})[_of_labels(row)] = row["error_px"]
    return common_points(by_filter)


def _of_labels(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*Video.primary_key, "labels_id"))


def _pair(kind: str, pair: str, method: str, group: str, rows: list[Row]) -> PairSummary:
    def mean(name: str) -> float | None:
        return _over(np.mean, (row[name] for row in rows))

    low, high = (_over(np.median, (row[name] for row in rows)) for name in ("band_low_hz", "band_high_hz"))
    return PairSummary(
        pair=pair,
        kind=kind,
        filter_method=method,
        group=group,
        n_mice=len({row["mouse_id"] for row in rows}),
        variance_px2=mean("variance_px2"),
        mean_px=mean("mean_px"),
        fraction_missing=float(np.mean([row["fraction_missing"] for row in rows])),
        corrected_variance_px2=mean("corrected_variance_px2"),
        corrected_mean_px=mean("corrected_mean_px"),
        length_px=mean("length_px"),
        band_hz=None if low is None or high is None else (low, high),
        power_kept=mean("power_kept"),
        noise_kept=mean("noise_kept"),
        lag_s=mean("lag_s"),
        bout_amplitude_kept=mean("bout_amplitude_kept"),
    )


def _by_mouse(rows: list[Row], name: str) -> list[float]:
    """Mean over a mouse's videos and pairs, a value a mouse; what is not known is left out."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if row[name] is not None and np.isfinite(row[name]):
            values.setdefault(row["mouse_id"], []).append(row[name])
    return [float(np.mean(found)) for _, found in sorted(values.items())]


def _over(statistic: Callable[[list[float]], Any], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(statistic(known)) if known else None
