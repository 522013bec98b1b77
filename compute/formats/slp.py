"""SLEAP's own ``.slp``: one predicted instance in every frame. SLEAP's labeller and sleap-io open it.

Coordinates and scores are kept in double precision, a person's NaN score too. SLEAP has no place for times, filter
columns and provenance: they are in a group ``orofacial`` of the file, which SLEAP does not write again when it saves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import ExportError
from compute.formats.hdf5_group import about_in_hdf5_group, read_hdf5_group, write_hdf5_group
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format

_UNKNOWN_VIDEO = "unknown.mp4"
"""A .slp must name a video."""


def write(path: Path, track: PortableTrack) -> None:
    """Write tracks as predictions.

    Every frame gets an instance, also one where no node was found: SLEAP keeps the scores of points that are not
    visible. The video is linked by its path, not opened.
    """
    import sleap_io as sio

    tracks = track.tracks
    skeleton = sio.Skeleton(nodes=list(tracks.nodes), edges=[list(edge) for edge in track.edges])
    video = sio.Video(filename=track.video_file or _UNKNOWN_VIDEO, open_backend=False)
    if track.size_px is not None:
        width_px, height_px = track.size_px
        video.backend_metadata = {"shape": [tracks.n_frames, height_px, width_px, 1]}
    points = np.concatenate([tracks.position, tracks.score[..., None]], axis=-1).astype(np.float64)
    totals = np.nansum(tracks.score, axis=1)
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=index,
            instances=[sio.PredictedInstance.from_numpy(points[index], skeleton=skeleton, score=float(totals[index]))],
        )
        for index in range(tracks.n_frames)
    ]
    labels = sio.Labels(frames, videos=[video], skeletons=[skeleton])
    labels.save(str(path), format="slp", verbose=False)
    write_hdf5_group(path, track)


def read(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read the one animal of a ``.slp``, written by `write` or by SLEAP.

    Where a person placed an instance it is taken instead of the prediction, with NaN as the score of its points.

    Raises
    ------
    ExportError
        If the file cannot be read, holds several videos, skeletons or animals, or no times and no `fps` is given.
    """
    import sleap_io as sio

    try:
        labels = sio.load_slp(str(path), open_videos=False)
    except Exception as error:  # reading a broken file can raise anything
        raise ExportError(f"{path} cannot be read as a .slp file ({error}); export or copy it again") from error
    if len(labels.videos) > 1 or len(labels.skeletons) != 1:
        raise ExportError(
            f"{path} holds {len(labels.videos)} videos and {len(labels.skeletons)} skeletons; expected one of each"
        )
    nodes = tuple(labels.skeleton.node_names)
    n_frames = max((frame.frame_idx + 1 for frame in labels), default=0)
    position = np.full((n_frames, len(nodes), 2), np.nan, np.float32)
    score = np.zeros((n_frames, len(nodes)), np.float32)
    for frame in labels:
        position[frame.frame_idx], score[frame.frame_idx] = _points(path, frame)
    track = read_hdf5_group(path, nodes, position, score, fps)
    edges = tuple((source, target) for source, target in labels.skeleton.edge_names)
    video = str(labels.videos[0].filename) if labels.videos else _UNKNOWN_VIDEO
    video = "" if video == _UNKNOWN_VIDEO else video
    return PortableTrack(track.tracks, edges, track.video_file or video, track.size_px, track.provenance)


def _points(path: Path, frame: Any) -> tuple[Any, Any]:
    """Position (node, 2) and score (node,) of the one animal in a frame."""
    instances = frame.user_instances or frame.predicted_instances
    if len(instances) > 1:
        raise ExportError(f"{path}: frame {frame.frame_idx} holds {len(instances)} animals, expected one mouse")
    if not instances:
        return np.nan, 0
    position = instances[0].numpy()
    if frame.user_instances:
        return position, np.where(np.isnan(position[:, 0]), 0, np.nan)
    return position, instances[0].points["score"]


register_format(Format("slp", ".slp", "SLEAP, to look at and to proofread", write, read, about_in_hdf5_group))
