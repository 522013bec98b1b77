"""Filters side by side: noise left, movement kept, error on labeled frames, each with its interval over mice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.comparison.bootstrap import NOTHING, BootstrapInterval, bootstrap_mean_over_mice, bootstrap_ratio_of_means
from compute.comparison.common_points import common_points
from compute.errors import OrofacialError
from pipeline.query.distances_by_filter import GROUPS
from schemas.evaluation import ModelEvaluation
from schemas.metric import DistanceMetrics, FilterComparison, LabelError, NodePair, PairDefinition
from schemas.session import Video
from schemas.training_mice import NOT_KNOWN, TrainingMice

Row = dict[str, Any]


class ComparisonError(OrofacialError):
    """There is nothing to compare."""


@dataclass(frozen=True)
class LabelSummary:
    """Distance from the points that people placed in frames that the model has not seen.

    Filters are compared on the same points: those that all of them have. One that lacks more than half of the points
    does not count there, so that it does not take the others' points away.

    Attributes
    ----------
    known_unseen : bool
        False: which frames the model was trained on is not known, so these may be among them.
    n_frames, n_points, n_missed : int
        Labeled frames; placed points with and without a position after this filter.
    n_common : int
        Placed points that all filters have.
    p50_px, p90_px : float or None
        Quantiles of the distance over these points; None where there is none, or this filter lacks some of them.
    mean_px : BootstrapInterval
        Mean over mice of each mouse's mean distance, over the same points.
    """

    known_unseen: bool
    n_frames: int
    n_points: int
    n_missed: int
    n_common: int
    p50_px: float | None
    p90_px: float | None
    mean_px: BootstrapInterval

    @property
    def fraction_missing(self) -> float:
        """Fraction of the placed points without a position after this filter."""
        return self.n_missed / max(1, self.n_points + self.n_missed)


@dataclass(frozen=True)
class FilterSummary:
    """One filter on one camera's videos. Intervals are over mice, each with the mean of its videos and pairs.

    Attributes
    ----------
    rigid_variance : Interval
        Variance of rigid distances over that of the raw tracks, both in the frames in which both have the distance.
    power_kept, noise_kept, lag_s, bout_amplitude_kept : Interval
        Of moving pairs, see `compute.measures.movement.MovementKept`.
    fraction_missing : float
        Fraction of frames without the distance.
    held_out_over_training : Interval
        Variance of rigid distances of held-out mice over that of mice in training; both resampled. Mice of which it is
        not known are in neither.
    labels : LabelSummary or None
        None where no labeled frame that the model has not seen is of an ingested video.
    """

    filter_method: str
    rigid_variance: BootstrapInterval
    power_kept: BootstrapInterval
    noise_kept: BootstrapInterval
    lag_s: BootstrapInterval
    bout_amplitude_kept: BootstrapInterval
    fraction_missing: float
    held_out_over_training: BootstrapInterval
    labels: LabelSummary | None


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
        Of the real distance; None for a filter without posterior variance.
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
    n_mice: dict[str, int]
    """Mice by group: in training, held out, and, if there are any, not known which."""
    filters: list[FilterSummary]
    pairs: list[PairSummary]


def compare_filters(*, camera: str | None = None, model: str | None = None) -> list[ModelComparison]:
    """Compare all filters that have been computed, a model at a time.

    Parameters
    ----------
    camera, model : str, optional
        Only of this camera or model (its id).

    Raises
    ------
    ComparisonError
        If nothing has been compared yet.
    """
    restriction = {name: value for name, value in (("camera", camera), ("model_id", model)) if value is not None}
    rows = comparison_rows(restriction)
    if not rows:
        of = " for " + ", ".join(f"{name} {value}" for name, value in restriction.items()) if restriction else ""
        raise ComparisonError(
            f"no filters have been compared{of}; add node pairs ('orofacial pairs add'), then run 'orofacial populate'"
        )
    errors = _label_rows(restriction)
    return [
        _model(*key, [row for row in rows if _of_model(row) == key], [row for row in errors if _of_model(row) == key])
        for key in sorted({_of_model(row) for row in rows})
    ]


def comparison_rows(restriction: Row) -> list[Row]:
    """Rows of `FilterComparison` for what pairs are now, with `DistanceMetrics`, ``pair``, ``group`` and more.

    ``variance_over_raw`` is of the frames that both have, so that dropping frames is not taken for less noise.
    """
    compared = FilterComparison & PairDefinition.current()
    rows: list[Row] = (compared * DistanceMetrics * NodePair.proj("pair_kind") & restriction).to_dicts()
    training_mice = TrainingMice.fetch()
    for row in rows:
        row["pair"] = f"{row['node_a']} - {row['node_b']}"
        row["group"] = training_mice.group(row)
        before, after = row["common_raw_variance_px2"], row["common_variance_px2"]
        row["variance_over_raw"] = after / before if before and after is not None else None
    return rows


def _of_model(row: Row) -> tuple[str, str]:
    return row["camera"], row["model_id"]


def _label_rows(restriction: Row) -> list[Row]:
    rows: list[Row] = (LabelError * ModelEvaluation.proj("known_unseen") & restriction & "n_frames > 0").to_dicts()
    return rows


def _model(camera: str, model_id: str, rows: list[Row], errors: list[Row]) -> ModelComparison:
    methods = sorted({row["filter_method"] for row in rows}, key=lambda name: (name != "raw", name))
    pairs = sorted({(row["pair_kind"], row["pair"]) for row in rows}, reverse=True)
    common = _common(errors)
    return ModelComparison(
        camera=camera,
        model_id=model_id,
        n_mice=_count_mice(rows),
        filters=[
            _filter(
                method,
                [row for row in rows if row["filter_method"] == method],
                [row for row in errors if row["filter_method"] == method],
                common,
            )
            for method in methods
        ],
        pairs=[
            _pair(kind, pair, method, group, found)
            for kind, pair in pairs
            for method in methods
            for group in GROUPS
            if (found := [r for r in rows if (r["pair"], r["filter_method"], r["group"]) == (pair, method, group)])
        ],
    )


def _count_mice(rows: list[Row]) -> dict[str, int]:
    counts = {group: len({row["mouse_id"] for row in rows if row["group"] == group}) for group in GROUPS}
    return {group: n for group, n in counts.items() if n or group != NOT_KNOWN}


def _filter(
    method: str, rows: list[Row], errors: list[Row], common: Mapping[Hashable, NDArray[np.bool_]]
) -> FilterSummary:
    rigid = [row for row in rows if row["pair_kind"] == "rigid"]
    moving = {name: bootstrap_mean_over_mice(_by_mouse(rows, name)) for name in ("power_kept", "noise_kept", "lag_s")}
    training, held_out = (
        _by_mouse([row for row in rigid if row["group"] == group], "variance_px2") for group in GROUPS[:2]
    )
    return FilterSummary(
        filter_method=method,
        rigid_variance=bootstrap_mean_over_mice(_by_mouse(rigid, "variance_over_raw")),
        bout_amplitude_kept=bootstrap_mean_over_mice(_by_mouse(rows, "bout_amplitude_kept")),
        fraction_missing=float(np.mean([row["fraction_missing"] for row in rows])),
        held_out_over_training=bootstrap_ratio_of_means(held_out, training) if held_out and training else NOTHING,
        labels=_labels(errors, common) if errors else None,
        **moving,
    )


def _labels(errors: list[Row], common: Mapping[Hashable, NDArray[np.bool_]]) -> LabelSummary:
    by_mouse: dict[str, list[float]] = {}
    is_whole = True
    for row in errors:
        error_px = row["error_px"][common[_of_labels(row)]]
        is_whole = is_whole and bool(np.isfinite(error_px).all())
        by_mouse.setdefault(row["mouse_id"], []).extend(error_px.tolist())
    is_whole = is_whole and {_of_labels(row) for row in errors} == common.keys()
    points = np.concatenate([np.asarray(values, float) for values in by_mouse.values()]) if is_whole else np.array([])
    p50, p90 = np.quantile(points, [0.5, 0.9], method="nearest").tolist() if points.size else (None, None)
    return LabelSummary(
        known_unseen=all(row["known_unseen"] for row in errors),
        n_frames=sum(row["n_frames"] for row in errors),
        n_points=sum(row["n_points"] for row in errors),
        n_missed=sum(row["n_missed"] for row in errors),
        n_common=sum(int(one.sum()) for one in common.values()),
        p50_px=p50,
        p90_px=p90,
        mean_px=bootstrap_mean_over_mice([float(np.mean(values)) for values in by_mouse.values() if values])
        if is_whole
        else NOTHING,
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
