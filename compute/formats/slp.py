"""SLEAP's own ``.slp``: one predicted instance in every frame. SLEAP's labeller and sleap-io open it.

Coordinates and scores are kept in double precision, a person's NaN score too. SLEAP has no place for times, filter
columns and provenance: they are in a group ``orofacial`` of the file, which SLEAP does not write again when it saves.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.extras import import_sleap_io
from compute.files import VIDEO_SUFFIXES
from compute.formats.assembly import assemble_tracks
from compute.formats.hdf5_group import about_in_hdf5_group, read_hdf5_group, write_hdf5_group
from compute.formats.network_scores import WRITTEN_HERE, is_written_here
from compute.formats.one_animal import choose_one, one_animal_instances
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format
from compute.text import count_text

_UNKNOWN_VIDEO = "unknown.mp4"
"""A .slp must name a video."""


def write(path: Path, track: PortableTrack) -> None:
    """Write tracks as predictions.

    Every frame gets an instance, also one where no node was found: SLEAP keeps the scores of points that are not
    visible. The video is linked by its path, not opened.
    """
    sio = import_sleap_io()

    tracks = track.tracks
    skeleton = sio.Skeleton(nodes=list(tracks.nodes), edges=[list(edge) for edge in track.edges])
    video = sio.Video(filename=track.video_file or _UNKNOWN_VIDEO, open_backend=False)
    if track.size_px is not None:
        width_px, height_px = track.size_px
        n_frames = track.provenance.get("video", {}).get("n_frames", track.first_frame + tracks.n_frames)
        video.backend_metadata = {"shape": [n_frames, height_px, width_px, 1]}
    points = np.concatenate([tracks.position, tracks.score[..., None]], axis=-1).astype(np.float64)
    totals = np.nansum(tracks.score, axis=1)
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=track.first_frame + index,
            instances=[sio.PredictedInstance.from_numpy(points[index], skeleton=skeleton, score=float(totals[index]))],
        )
        for index in range(tracks.n_frames)
    ]
    labels = sio.Labels(frames, videos=[video], skeletons=[skeleton], provenance=dict(WRITTEN_HERE))
    labels.save(str(path), format="slp", verbose=False)
    write_hdf5_group(path, track)


def read(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read the one animal of a ``.slp``, written by `write` or by SLEAP.

    Where a person placed an instance it is taken instead of the prediction, with NaN as the score of its points. In a
    prediction such a score is 0, unless the file comes from this project, which SLEAP keeps when it saves. There
    are as many frames as the video has; where neither the file nor the video says how many, they end with the last
    instance.

    Raises
    ------
    ExportError
        If the file cannot be read, holds several videos or animals and `name` chooses none, a frame twice or one that
        the video does not have, or no times and no `fps` is given.
    """
    sio = import_sleap_io()

    try:
        labels = sio.load_slp(str(path), open_videos=False)
    except Exception as error:  # reading a broken file can raise anything
        raise ExportError(f"{path} cannot be read as a .slp file ({error}); export or copy it again") from error
    video = _video(path, labels, name)
    name = None if video is not None and name == _name(video) else name
    instances = [(frame.frame_idx, one) for frame in labels if frame.video is video for one in frame.instances]
    skeleton = _skeleton(path, labels, [one for _, one in instances])
    rows = _rows(path, instances, len(skeleton.nodes), name)
    n_frames = None if video is None else _n_frames(path, video)
    beside = read_hdf5_group(path)
    file_fps = None if video is None else video.fps
    nodes = tuple(skeleton.node_names)
    frame_index, by_person = rows.pop("frame_index"), rows.pop("by_person") | is_written_here(labels.provenance)
    track = assemble_tracks(
        path,
        nodes,
        frame_index,
        rows,
        beside,
        fps=fps,
        file_fps=file_fps,
        n_frames=n_frames,
        by_person=by_person,
    )
    if beside is None and n_frames is None:
        track = track.assuming("the video's length is not in the file: it ends with the last instance")
    file = "" if video is None or _file(video) == _UNKNOWN_VIDEO else _file(video)
    return replace(track, edges=tuple(skeleton.edge_names), video_file=track.video_file or file)


def _rows(path: Path, instances: list[tuple[int, Any]], n_nodes: int, name: str | None) -> dict[str, NDArray[Any]]:
    """Frame number, whether a person's, position (instance, node, 2) and score (instance, node) of the mouse's."""
    sio = import_sleap_io()

    frame_index = np.array([index for index, _ in instances], np.int64)
    position = np.array([one.numpy() for _, one in instances], np.float32).reshape(-1, n_nodes, 2)
    placed = np.where(np.isnan(position[..., 0]), 0, np.nan)
    scores = [one.points["score"] if isinstance(one, sio.PredictedInstance) else None for _, one in instances]
    score = np.array([row if one is None else one for row, one in zip(placed, scores, strict=True)], np.float32)
    score = score.reshape(-1, n_nodes)
    by_person = np.array([one is None for one in scores], bool)
    animals = ["" if one.track is None else one.track.name for _, one in instances]
    kept = one_animal_instances(path, frame_index, animals, position, by_person, name)
    columns = {"frame_index": frame_index, "by_person": by_person, "position": position, "score": score}
    return {column: values[kept] for column, values in columns.items()}


def _video(path: Path, labels: Any, name: str | None) -> Any:
    """The video that the instances are of; None if the file has no frames."""
    videos = list(dict.fromkeys(frame.video for frame in labels if frame.instances)) or labels.videos[:1]
    if not videos:
        return None
    names = [_name(video) for video in videos]
    if len(set(names)) < len(names):
        names = [_file(video) for video in videos]
    chosen = choose_one(path, "videos", names, name if name in names else None)
    return videos[names.index(chosen)]


def _file(video: Any) -> str:
    """Path of a video, or of its first image; of one whose images are in the file, of the video that they are from."""
    if video.source_video is not None:
        return _file(video.source_video)
    return str(video.filename if isinstance(video.filename, str) else video.filename[0])


def _name(video: Any) -> str:
    return PurePath(_file(video).replace("\\", "/")).name


def _n_frames(path: Path, video: Any) -> int | None:
    """Number of frames of a video by the file, else by the video, if it is there."""
    source = video
    while source.source_video is not None:  # frames are numbered as in the video that the images are from
        source = source.source_video
    if source.shape is not None and (source is video or not _is_embedded(source)):
        return int(source.shape[0])
    from compute.video import probe_video

    for file in (Path(_file(source)), path.parent / _name(source)):
        if file.is_file() and file.suffix.lower() in VIDEO_SUFFIXES:
            return probe_video(file).n_frames
    return None


def _is_embedded(video: Any) -> bool:
    return "dataset" in video.backend_metadata


def _skeleton(path: Path, labels: Any, instances: list[Any]) -> Any:
    """The skeleton of the instances; one that no instance has is left out."""
    used = list(dict.fromkeys(one.skeleton for one in instances)) or labels.skeletons[:1]
    if len(used) != 1:
        raise ExportError(f"{path} holds instances of {count_text(len(used), 'skeleton')}, expected one")
    return used[0]


register_format(Format("slp", ".slp", "SLEAP, to look at and to proofread", write, read, about_in_hdf5_group))
