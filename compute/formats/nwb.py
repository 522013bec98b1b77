"""NWB with ndx-pose: one file a session, with all its cameras, raw and filtered.

| in the file | holds |
| --- | --- |
| ``acquisition/video_<camera>`` | link to the video, by a path relative to the file |
| ``processing/SLEAP_VIDEO_<i>_<camera>/<camera>_raw`` | the poses; modules are named so that SLEAP reads them |
| ``processing/behavior/<camera>_<filter>`` | the poses after a filter |
| ``processing/behavior/<pose>_sd``, ``_rejected``, ``_filled`` | what the filter knows, in the order of the nodes |
| ``processing/behavior/Skeletons`` | nodes and edges |
| ``scratch/provenance_<pose>`` | what made the poses, as JSON (in a table it would be a violation) |

Times are the camera's timestamps, exactly. Where they are exactly regular they are a start and a rate in double
precision, as NWB's best practices ask; both give back the same times. A person's NaN score is a NaN confidence.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.nwb_poses import ABOUT, join_poses, nwb_series_names, read_pose
from compute.formats.nwb_session import new_nwb_session, nwb_name
from compute.formats.one_animal import choose_one
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format
from compute.tracks import POINT_COLUMNS

_REGULAR_WITHIN_S = 1e-9
_CONFIDENCE = (
    "The pose estimator's score (SLEAP: the peak of the confidence map, which may exceed 1); 0: not found;"
    " NaN: placed by a person"
)
_SLEAP_TRACK = "track="
"""How the name of a PoseEstimation begins that sleap-io wrote: one for each track, in a module for each video."""

_ORIGIN = "(0, 0) is the center of the upper left pixel of the video's frame; x to the right, y down"


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back warnings on fields that are deprecated but that SLEAP's reader needs, and on names it knows already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(path: Path, tracks: Sequence[PortableTrack]) -> None:
    """Write the tracks of one session.

    Parameters
    ----------
    path : Path
        File to write. Videos are linked relative to its folder: move them together.
    tracks : sequence of PortableTrack
        Of any cameras and filters; their provenance says which, and who the subject is.

    Raises
    ------
    ExportError
        If the tracks are of more than one session, or two of them are of the same camera, model and filter.
    """
    sessions = {track.provenance.get("session", "") for track in tracks}
    if len(sessions) != 1:
        raise ExportError(f"{path}: one NWB file holds one session, got {', '.join(sorted(sessions)) or 'no tracks'}")
    names = _names(tracks)
    if len(set(names)) != len(names):
        raise ExportError(f"{path}: two tracks have the same camera, model and filter: {', '.join(sorted(names))}")
    with _quiet():
        from pynwb import NWBHDF5IO

        file = new_nwb_session(tracks[0].provenance)
        _add_tracks(file, path, names, tracks)
        with NWBHDF5IO(path, "w") as io:
            io.write(file)


def _names(tracks: Sequence[PortableTrack]) -> list[str]:
    """``<camera>_<filter>``, with the model where a camera has several."""
    models: dict[str, set[str]] = {}
    for track in tracks:
        models.setdefault(_camera(track), set()).add(_model(track))
    return [
        nwb_name(
            "_".join([_camera(track), _filter(track), *([_model(track)] if len(models[_camera(track)]) > 1 else [])])
        )
        for track in tracks
    ]


def _camera(track: PortableTrack) -> str:
    return str(track.provenance.get("camera", "camera"))


def _filter(track: PortableTrack) -> str:
    return str(track.provenance.get("filter", {}).get("filter_method", "raw"))


def _model(track: PortableTrack) -> str:
    return str(track.provenance.get("model", {}).get("model_id", "model"))


def _add_tracks(file: Any, path: Path, names: list[str], tracks: Sequence[PortableTrack]) -> None:
    from ndx_pose import Skeletons

    behavior = file.create_processing_module("behavior", "Skeletons, poses after filters, and what the filters know")
    skeletons = _skeletons(tracks)
    behavior.add(Skeletons(skeletons=list(skeletons.values())))
    videos: dict[str, Any] = {}
    for name, track in zip(names, tracks, strict=True):
        camera = _camera(track)
        is_first = camera not in videos
        if is_first:
            videos[camera] = _add_video(file, path, camera, track)
        pose, clock = _pose(
            name, track, skeletons[_skeleton_key(track)], file.devices[nwb_name(camera)], videos[camera]
        )
        if is_first:  # SLEAP reads what is in modules of this name, one animal of one video in each
            module = f"SLEAP_VIDEO_{len(videos) - 1:03}_{nwb_name(camera)}"
            file.create_processing_module(module, f"Poses from camera {camera}").add(pose)
        else:
            behavior.add(pose)
        for series in _filter_series(name, track, clock):
            behavior.add(series)
        file.add_scratch(track.about(), name=ABOUT + name, description=f"What made {name}, as JSON")


def _skeleton_key(track: PortableTrack) -> tuple[Any, ...]:
    return (track.tracks.nodes, track.edges)


def _skeletons(tracks: Sequence[PortableTrack]) -> dict[tuple[Any, ...], Any]:
    from ndx_pose import Skeleton

    skeletons: dict[tuple[Any, ...], Any] = {}
    for track in tracks:
        key = _skeleton_key(track)
        if key not in skeletons:
            edges = [[track.tracks.node_index(node) for node in edge] for edge in track.edges]
            skeletons[key] = Skeleton(
                name=f"skeleton_{len(skeletons)}",
                nodes=list(track.tracks.nodes),
                edges=np.array(edges, np.uint8).reshape(-1, 2),
            )
    return skeletons


def _clock(track: PortableTrack) -> dict[str, Any]:
    """Start and rate where times are exactly regular, else the times themselves."""
    times = track.tracks.time
    if times.size > 2:
        said = track.provenance.get("video", {}).get("fps", "0/1").split("/")
        for rate in (int(said[0]) / int(said[1]), (times.size - 1) / (times[-1] - times[0])):
            if rate and np.abs(times[0] + np.arange(times.size) / rate - times).max() < _REGULAR_WITHIN_S:
                return {"starting_time": float(times[0]), "rate": float(rate)}
    return {"timestamps": times}


def _clock_of_video(track: PortableTrack) -> dict[str, Any] | None:
    """Times of all frames of the video; None where the tracks are a part of it, and its times are irregular."""
    clock = _clock(track)
    n_frames = track.provenance.get("video", {}).get("n_frames", track.tracks.n_frames)
    if "rate" in clock:  # else the number of frames is that of the timestamps
        start_s = clock["starting_time"] - track.first_frame / clock["rate"]
        return {
            **clock,
            "starting_time": start_s,
            "num_samples": max(n_frames, track.first_frame + track.tracks.n_frames),
        }
    return clock if n_frames == track.tracks.n_frames else None


def _add_video(file: Any, path: Path, camera: str, track: PortableTrack) -> Any:
    """Add the camera, and the link to its video; None if the video is not known."""
    from pynwb.image import ImageSeries

    name = nwb_name(camera)
    device = file.create_device(name=name, description=f"Camera {camera}, which films the mouse")
    said = track.provenance.get("video", {})
    clock = _clock_of_video(track)
    if not track.video_file or clock is None:
        return None
    video = ImageSeries(
        name=f"video_{name}",
        description=f"Video of camera {camera}; ingested from {track.video_file}, sha256 {said.get('content_hash')}",
        external_file=[_relative(track.video_file, path)],
        format="external",
        unit="n.a.",
        dimension=track.size_px,
        device=device,
        **clock,
    )
    file.add_acquisition(video)
    return video


def _relative(video_file: str, path: Path) -> str:
    return Path(os.path.relpath(Path(video_file).resolve(), path.parent.resolve())).as_posix()


def _pose(name: str, track: PortableTrack, skeleton: Any, device: Any, video: Any) -> tuple[Any, dict[str, Any]]:
    """The poses, and the times that other series of the same video can share."""
    from ndx_pose import PoseEstimation, PoseEstimationSeries

    clock = _clock(track)
    if video is not None and "timestamps" in clock and np.array_equal(clock["timestamps"], video.timestamps):
        clock = {"timestamps": video}
    all_series = []
    for index, series_name in enumerate(nwb_series_names(track.tracks.nodes)):
        series = PoseEstimationSeries(
            name=series_name,
            description=f"{track.tracks.nodes[index]}, camera {_camera(track)}, filter {_filter(track)}",
            data=_compressed(track.tracks.position[:, index]),
            confidence=_compressed(track.tracks.score[:, index]),
            confidence_definition=_CONFIDENCE,
            reference_frame=_ORIGIN,
            unit="pixels",
            **clock,
        )
        all_series.append(series)
        if isinstance(clock.get("timestamps"), np.ndarray):
            clock = {"timestamps": series}
    estimation = track.provenance.get("estimation", {})
    pose = PoseEstimation(
        name=name,
        description=f"Camera {_camera(track)}, filter {_filter(track)}, model {_model(track)}",
        pose_estimation_series=all_series,
        original_videos=list(video.external_file) if video is not None else ["unknown"],
        source_video=video,
        device=device,
        scorer=_model(track),
        source_software=str(estimation.get("estimator", "unknown")),
        source_software_version=str(_version(estimation) or "unknown"),
        skeleton=skeleton,
    )
    return pose, clock


def _version(estimation: Any) -> str | None:
    packages = (estimation.get("provenance") or {}).get("packages", {})
    estimator = estimation.get("estimator", "")
    version: str | None = packages.get(estimator, estimation.get("versions", {}).get(estimator))
    return version


def _compressed(array: NDArray[Any]) -> Any:
    from pynwb import H5DataIO

    return H5DataIO(np.ascontiguousarray(array), compression="gzip", shuffle=True) if array.size else array


def _filter_series(name: str, track: PortableTrack, clock: dict[str, Any]) -> Iterator[Any]:
    """What a filter, an ensemble or labeled frames say of each point."""
    from pynwb import TimeSeries

    nodes = ", ".join(track.tracks.nodes)
    for column in (POINT_COLUMNS[field] for field in track.tracks.given):
        array = getattr(track.tracks, column.name)
        yield TimeSeries(
            name=f"{name}_{column.name}",
            description=f"{' and '.join(column.texts)}; for the nodes {nodes}",
            data=_compressed(array.astype(np.uint8 if column.dtype is np.bool_ else column.dtype)),
            unit="pixels" if column.unit == "px" else "n.a.",
            **clock,
        )


def read_all_nwb(path: Path) -> dict[str, PortableTrack]:
    """Read every PoseEstimation of a file, by its name.

    Raises
    ------
    ExportError
        If the file cannot be read, or holds none.
    """
    return _read_poses(path, list)


def read(path: Path, *, name: str | None = None, fps: float | None = None) -> PortableTrack:
    """Read one PoseEstimation; `fps` is not needed.

    Of a file of sleap-io's, the tracks of one video that are never there at the same time are one animal.

    Raises
    ------
    ExportError
        As `read_all_nwb`; also if there are several and none, or an unknown one, is named.
    """

    def chosen(poses: dict[str, Any]) -> list[str]:
        of_one_video = len({pose.parent.name for pose in poses.values()}) == 1
        if name is None and of_one_video and all(one.startswith(_SLEAP_TRACK) for one in poses):
            return list(poses)
        return [choose_one(path, "poses", list(poses), name)]

    tracks = _read_poses(path, chosen)
    return next(iter(tracks.values())) if len(tracks) == 1 else join_poses(path, tracks)


def _read_poses(path: Path, chosen: Callable[[dict[str, Any]], list[str]]) -> dict[str, PortableTrack]:
    """Read those PoseEstimations whose names are chosen."""
    with _quiet():
        import ndx_pose
        from pynwb import NWBHDF5IO

        try:
            with NWBHDF5IO(path, "r") as io:
                file = io.read()
                poses = _named([one for one in file.objects.values() if isinstance(one, ndx_pose.PoseEstimation)])
                if not poses:
                    raise ExportError(f"{path} holds no PoseEstimation (ndx-pose)")
                return {one: read_pose(path, poses[one], file) for one in chosen(poses)}
        except ExportError:
            raise
        except Exception as error:  # reading a broken file can raise anything
            raise ExportError(f"{path} cannot be read as NWB ({error}); export or copy it again") from error


def _named(poses: list[Any]) -> dict[str, Any]:
    """By name, in order; by the module, too, where the poses of several cameras have one name."""
    names = [pose.name for pose in poses]
    named = {pose.name if names.count(pose.name) == 1 else f"{pose.parent.name}/{pose.name}": pose for pose in poses}
    return dict(sorted(named.items()))


def about(path: Path) -> list[dict[str, Any]]:
    """What the file says of each of its tracks: `PortableTrack.about`, parsed. No track is read."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        return [json.loads(one[()]) for name, one in file["scratch"].items() if name.startswith(ABOUT)]


register_format(
    Format(
        "nwb", ".nwb", "NWB with ndx-pose, a file a session with all its cameras", write, read, about, a_session=True
    )
)
