"""PoseEstimation of ndx-pose, whoever wrote it: each series by its own times, name and unit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.assembly import assumed_scores
from compute.formats.frame_rows import check_common_frames, rows_by_frame, rows_by_time
from compute.formats.network_scores import least_scores
from compute.formats.nwb_session import nwb_name
from compute.formats.one_animal import check_one_animal, choose_one
from compute.formats.portable import PortableTrack, portable_tracks
from compute.frame_times import LONGEST_FRAME_INTERVAL_S
from compute.tracks import POINT_COLUMNS

ABOUT = "provenance_"
"""Prefix of the scratch data that hold `PortableTrack.about`."""

_PIXELS = ("pixels", "pixel", "px")

_NEUROCONV = "poseestimationseries"
"""What NeuroConv puts before the name of a node."""


def nwb_series_names(nodes: Sequence[str]) -> list[str]:
    """Names of the nodes' series as this project writes them; the true names are in the skeleton."""
    names = [nwb_name(node) for node in nodes]
    return [f"{name}-{index}" if names.count(name) > 1 else name for index, name in enumerate(names)]


def read_pose(path: Path, pose: Any, file: Any) -> PortableTrack:
    """Read one PoseEstimation of an open file.

    A series holds the frames in which its node was found, at its own times. Those of all series together are the
    frames; where a series has none, its node was not found.

    Raises
    ------
    ExportError
        If a series belongs to no node, has another number of times than of points, or is in another unit than pixels;
        if the times of another program's series are not of the same frames, or look like milliseconds.
    """
    series = _series_of_nodes(path, pose)
    nodes = tuple(series)
    present = {node: one for node, one in series.items() if one is not None}
    columns = {node: _columns(path, pose.name, one) for node, one in present.items()}
    times = {node: one["time"] for node, one in columns.items()}
    time, frame_index = rows_by_time(path, times)
    is_own = ABOUT + pose.name in (file.scratch or {})
    if not is_own:
        check_common_frames(path, times)
        _check_seconds(path, pose.name, time)
    position = np.full((time.size, len(nodes), 2), np.nan, np.float32)
    score = np.zeros((time.size, len(nodes)), np.float32)
    for index, node in enumerate(nodes):
        if node in columns:
            rows = {name: columns[node][name][:, None] for name in ("position", "score")}
            placed = rows_by_frame(path, frame_index[node], rows, nodes=(node,), n_frames=time.size)
            position[:, index], score[:, index] = placed["position"][:, 0], placed["score"][:, 0]
    interfaces = file.processing["behavior"].data_interfaces if "behavior" in file.processing else {}
    named = {field: f"{pose.name}_{field}" for field in POINT_COLUMNS}
    arrays = {field: interfaces[name].data[:] for field, name in named.items() if name in interfaces}
    tracks = portable_tracks(path, position=position, score=score, time=time, nodes=nodes, **arrays)
    if is_own:
        about = file.scratch[ABOUT + pose.name].data
        return PortableTrack.with_about(path, tracks, about[()] if hasattr(about, "shape") else about)
    least, assumption = least_scores(tracks.position, tracks.score)
    track = PortableTrack(replace(tracks, score=least), _edges(pose, nodes))
    track = track.assuming(assumption) if assumption else track
    without = [node for node, one in present.items() if one.confidence is None]
    if without:
        track = track.assuming(f"{', '.join(without)} without scores (confidence): 1 stands for a point that is there")
    absent = [node for node in nodes if node not in present]
    return track.assuming(f"no series of {', '.join(absent)}: never found") if absent else track


def join_poses(path: Path, tracks: Mapping[str, PortableTrack]) -> PortableTrack:
    """One animal whose track broke, from the pieces by their names.

    Raises
    ------
    ExportError
        If two of them are there at the same time, or have other nodes.
    """
    pieces = {name: track.tracks for name, track in tracks.items()}
    first = next(iter(pieces.values()))
    if any(one.nodes != first.nodes for one in pieces.values()):
        choose_one(path, "poses", list(pieces), None)
    time, index = rows_by_time(path, {name: one.time for name, one in pieces.items()})
    there = {name: one.found.any(axis=1) for name, one in pieces.items()}
    frame_index = np.concatenate([index[name][there[name]] for name in pieces])
    check_one_animal(path, frame_index, [name for name in pieces for _ in range(int(there[name].sum()))])
    rows = {
        name: np.concatenate([getattr(one, name)[there[piece]] for piece, one in pieces.items()])
        for name in ("position", "score")
    }
    arrays = rows_by_frame(path, frame_index, rows, nodes=first.nodes, n_frames=time.size)
    joined = PortableTrack(portable_tracks(path, time=time, nodes=first.nodes, **arrays))
    for assumption in dict.fromkeys(one for track in tracks.values() for one in track.assumptions):
        joined = joined.assuming(assumption)
    return replace(joined, edges=next(iter(tracks.values())).edges)


def _edges(pose: Any, nodes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [] if pose.skeleton is None or pose.skeleton.edges is None else pose.skeleton.edges[:]
    return tuple((nodes[int(source)], nodes[int(target)]) for source, target in pairs)


def _series_of_nodes(path: Path, pose: Any) -> dict[str, Any]:
    """The series of each node of the skeleton, or None; without a skeleton the series name the nodes."""
    by_name = dict(pose.pose_estimation_series.items())
    if pose.skeleton is None:
        return by_name
    nodes = [str(node) for node in pose.skeleton.nodes[:]]
    found = {node: by_name.get(name) for node, name in zip(nodes, nwb_series_names(nodes), strict=True)}
    left = {_plain(one.name): one for one in by_name.values() if not any(one is other for other in found.values())}
    for node in nodes:
        if found[node] is None:
            found[node] = left.pop(_plain(node), None)
    if left:
        names = ", ".join(one.name for one in left.values())
        raise ExportError(
            f"{path}: {pose.name} has series of no node of its skeleton: {names}; the nodes are {', '.join(nodes)}"
        )
    return found


def _plain(name: str) -> str:
    """A name without what programs change of it."""
    return re.sub(r"[\W_]", "", name).lower().removeprefix(_NEUROCONV)


def _columns(path: Path, pose_name: str, series: Any) -> dict[str, NDArray[Any]]:
    """Times (s), positions (row, 2) in px and scores (row,) of a series."""
    named = f"{path}: {series.name} of {pose_name}"
    if str(series.unit).lower() not in _PIXELS:
        raise ExportError(f"{named} is in {series.unit}; expected pixels of the picture")
    data = np.asarray(series.data[:], np.float64)
    if data.ndim != 2 or data.shape[1] != 2:
        raise ExportError(f"{named} has the shape {data.shape}; expected x and y of each frame")
    position = (data * float(series.conversion) + float(series.offset or 0)).astype(np.float32)
    score = assumed_scores(position) if series.confidence is None else np.asarray(series.confidence[:], np.float32)
    time = _times(series)
    if not len(time) == len(score) == len(position):
        raise ExportError(
            f"{named} has {len(position)} points, {len(score)} confidences and {len(time)} times; expected as many of"
            " each"
        )
    return {"time": time, "position": position, "score": score}


def _check_seconds(path: Path, pose_name: str, time: NDArray[np.float64]) -> None:
    """Refuse times in milliseconds. Single frames that somebody labeled may lie far apart, but not evenly."""
    steps_s = np.diff(time)
    if steps_s.size and np.quantile(steps_s, 0.1) > max(LONGEST_FRAME_INTERVAL_S, 0.6 * np.median(steps_s)):
        raise ExportError(
            f"{path}: the frames of {pose_name} are {np.median(steps_s):.4g} s apart, expected at most"
            f" {LONGEST_FRAME_INTERVAL_S:g} s: times in NWB are in seconds, and these look like milliseconds or frame"
            " numbers. Write them in seconds"
        )


def _times(series: Any) -> NDArray[np.float64]:
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], np.float64)
    return np.asarray((series.starting_time or 0.0) + np.arange(series.data.shape[0]) / series.rate, np.float64)
