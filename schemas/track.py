"""Filtered tracks, and quality of the raw tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import datajoint as dj

from compute.errors import FilterError
from compute.filters import (
    SCORE_EXPONENT_ATTRIBUTE,
    apply_filter,
    check_parameters,
    default_parameters,
    registered_filters,
    registered_version,
)
from compute.measures.quality import track_quality
from compute.tracks import Tracks
from schemas.evaluation import evaluated_score_exponent, unevaluated_models
from schemas.making import provenance
from schemas.making.checked_rows import CheckedRows, check_row_name
from schemas.making.resources import Resources
from schemas.pose import PoseEstimation
from schemas.session import Video
from schemas.stored.fetching import TracksReference
from schemas.stored.publishing import published_or_removed

schema = dj.Schema()


@schema
class FilterMethod(CheckedRows, dj.Lookup):
    """A filter with its parameters. Another parameter, or another version of the filter, is another row.

    A row keeps the version and the default parameters of the day on which it was inserted, whoever inserts it.
    """

    definition = """
    filter_method : varchar(64)
    ---
    filter_name : varchar(32)  # function in compute.filters
    filter_parameters : json  # the function's keywords
    filter_version=1 : int16  # version of the filter's algorithm
    """

    @property
    def contents(self) -> list[dict[str, Any]]:
        """The filters that every lab has: the rows that there are, and those that are missing.

        Where a lab's row is of an older version of its filter, one of today's stands beside it, such as
        ``interpolate_v2``. A process that finds all of them in the database is spared the import of the filters.
        """
        there = {row["filter_method"]: row for row in self.to_dicts()} if self.is_declared else {}
        missing = []
        for name, one in registered_filters().items():
            for method, changed in one.methods.items():
                today = registered_version(name, changed)
                if method in there and not is_current_filter(there[method]):
                    method = f"{method}_v{today}"
                if method not in there:
                    missing.append({"filter_method": method, "filter_name": name, "filter_parameters": changed})
        return [*there.values(), *missing] if missing else []

    def checked(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with all parameters and the filter's version.

        Raises
        ------
        FilterError
            If there is no such filter or parameter, a parameter is outside its range, the name cannot be one, or the
            version is not that of this code.
        """
        check_row_name("filter method", row.get("filter_method"), FilterError)
        whole = filter_row(row["filter_method"], row.get("filter_name", ""), row.get("filter_parameters", {}))
        version = row.get("filter_version", whole["filter_version"])
        if version != whole["filter_version"]:
            raise FilterError(
                f"filter method {row['filter_method']}: filter_version is {version!r}, expected"
                f" {whole['filter_version']}, the version of {whole['filter_name']} in this orofacial"
            )
        return {**row, **whole}

    def update1(self, row: Mapping[str, Any]) -> None:
        """Refuse to change what tracks depend on: another parameter is another row."""
        if {"filter_name", "filter_parameters"} & set(row):
            raise FilterError(
                f"filter method {row.get('filter_method')}: its tracks depend on its filter and parameters, so these"
                " stay as they are; insert a row of another name"
            )
        super().update1(row)


def filter_row(filter_method: str, filter_name: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `FilterMethod`: it keeps the version and the default parameters of the day on which it was made.

    Parameters
    ----------
    filter_method : str
        Name of the row.
    filter_name : str
        The filter.
    changed : mapping
        The parameters that are not the filter's defaults.

    Raises
    ------
    FilterError
        If there is no such filter or parameter, or a parameter is outside its range.
    """
    check_parameters(filter_name, changed)
    # As the database gives them back: a tuple is a list then.
    parameters = json.loads(json.dumps({**default_parameters(filter_name), **changed}))
    return {
        "filter_method": filter_method,
        "filter_name": filter_name,
        "filter_parameters": parameters,
        "filter_version": registered_version(filter_name, parameters),
    }


def is_current_filter(row: Mapping[str, Any]) -> bool:
    """Whether a row of `FilterMethod` is of the version that the code has: only such a row makes new tracks."""
    return bool(row["filter_version"] == registered_version(row["filter_name"], row["filter_parameters"]))


def filter_row_fault(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the parameters of a row of today's version; None if nothing is, or the row is older.

    Rows were not always checked when they were inserted.
    """
    if not is_current_filter(row):
        return None
    try:
        check_parameters(row["filter_name"], row["filter_parameters"])
    except FilterError as error:
        return str(error)
    return None


@schema
class TrackQuality(dj.Computed):
    """Quality of the raw tracks of a video, for each node."""

    resources = Resources(device="cpu", memory_gb=1)
    is_stage = True

    definition = """
    -> PoseEstimation
    ---
    quality_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class Node(dj.Part):
        """Quality of one node."""

        definition = """
        -> master
        node : varchar(64)
        ---
        fraction_found : float64  # of all frames
        n_jumps : int32  # moves between frames too large to be the node's own
        score_p05=null : float64  # quantiles of the estimator's score; null: no frame has one
        score_p25=null : float64
        score_p50=null : float64
        score_p75=null : float64
        score_p95=null : float64
        fraction_outside : float64  # of all frames: position outside the picture
        n_disputed=null : int32  # points at which the members of an ensemble disagree; null: the model is none
        """

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the tracks, measure, insert."""
        with provenance.recording_provenance() as record:
            tracks = (PoseEstimation & key).fetch1("tracks").tracks()
            width_px, height_px = (Video & key).fetch1("width_px", "height_px")
            qualities = track_quality(tracks, width_px=width_px, height_px=height_px)
        self.insert1({**key, "quality_provenance": record})
        self.Node.insert([{**key, **asdict(quality)} for quality in qualities])


@schema
class FilteredTrack(dj.Computed):
    """A video's tracks after a filter."""

    resources = Resources(device="cpu", memory_gb=2)
    is_stage = True

    definition = """
    -> PoseEstimation
    -> FilterMethod
    ---
    tracks=null : <tracks@tracks>  # null: the filter is raw, the tracks are PoseEstimation's
    filter_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks with all filters, once labeled frames have said what the model's scores mean, as far as they can.

        An evaluation that failed is not waited for: these tracks are filtered as if there were no such labels, and
        `orofacial status` says so. A row of an older version of its filter makes no new tracks; those it made stay.
        """
        waiting = [{"model_id": model_id} for model_id in unevaluated_models()]
        older = [
            {"filter_method": row["filter_method"]} for row in FilterMethod.to_dicts() if not is_current_filter(row)
        ]
        return (PoseEstimation.proj() - waiting) * (FilterMethod - older).proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Fetch the filter's name and parameters.

        Raises
        ------
        FilterError
            If the row is of another version of the filter: a job that was queued before the code changed.
        """
        row = (FilterMethod & key).fetch1()
        invalid = filter_row_fault(row)
        if invalid is not None:
            raise FilterError(
                f"filter method {row['filter_method']}: {invalid}; add one that is right, of another name"
            )
        if not is_current_filter(row):
            raise FilterError(
                f"filter method {row['filter_method']} is of version {row['filter_version']} of filter"
                f" {row['filter_name']}, this orofacial has version"
                f" {registered_version(row['filter_name'], row['filter_parameters'])}; add a method of that"
                " version with 'orofacial filter add'"
            )
        return row["filter_name"], row["filter_parameters"]

    def make_compute(
        self, key: dict[str, Any], filter_name: str, filter_parameters: dict[str, Any]
    ) -> tuple[Tracks | None, dict[str, Any]]:
        """Filter the tracks."""
        with provenance.recording_provenance() as record:
            tracks = None
            if filter_name != "raw":
                tracks = apply_filter(estimated_tracks(key), filter_name, filter_parameters)
        return tracks, record

    def make_insert(self, key: dict[str, Any], tracks: Tracks | None, record: dict[str, Any]) -> None:
        """Insert the filtered tracks."""
        with published_or_removed():
            self.insert1({**key, "tracks": tracks, "filter_provenance": record})


def estimated_tracks(key: dict[str, Any], nodes: Sequence[str] | None = None) -> Tracks:
    """Read the estimator's tracks, with the attribute ``score_exponent`` where the model's labeled frames gave one.

    Parameters
    ----------
    key : dict
        Holds the primary key of a row of `PoseEstimation`.
    nodes : sequence of str, optional
        Read only these nodes.
    """
    tracks: Tracks = (PoseEstimation & key).fetch1("tracks").tracks(nodes)
    exponent = evaluated_score_exponent(key["model_id"])
    if exponent is None:
        return tracks
    return replace(tracks, attributes={**tracks.attributes, SCORE_EXPONENT_ATTRIBUTE: exponent})


def fetch_tracks(key: dict[str, Any], nodes: Sequence[str] | None = None) -> Tracks:
    """Read the tracks of one row of `FilteredTrack`, whichever filter made it.

    Parameters
    ----------
    key : dict
        Primary key of the row.
    nodes : sequence of str, optional
        Read only these nodes.
    """
    reference: TracksReference | None = (FilteredTrack & key).fetch1("tracks")
    if reference is None:
        reference = (PoseEstimation & key).fetch1("tracks")
    return reference.tracks(nodes)
