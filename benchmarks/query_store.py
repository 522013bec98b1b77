"""A simulated store of many sessions, in the real tables of an embedded database, for benchmarks/query.py."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from simulated_tracks import NODES, simulate_tracks

import schemas
from compute.tracks import Tracks
from pipeline.database.connection import open_connection
from pipeline.settings import Settings

N_MICE = 100
MODEL_ID = "0123456789abcdef"
SKELETON_ID = "fedcba9876543210"


def open_store(folder: Path) -> Settings:
    settings = Settings(data_folder=folder)
    schemas.activate(settings.schema_prefix, open_connection(settings))
    return settings


def build(folder: Path, n_sessions: int, n_frames: int, say: Callable[[str], None]) -> list[float]:
    """Add the sessions that are missing; return the seconds that each new one's tracks took to be stored."""
    from schemas.pose import PoseEstimation
    from schemas.track import FilteredTrack, TrackQuality

    open_store(folder)
    keys = _insert_sessions(folder, n_sessions, n_frames)
    done = {(row["mouse_id"], row["session_number"]) for row in PoseEstimation.proj().to_dicts()}
    missing = [key for key in keys if (key["mouse_id"], key["session_number"]) not in done]
    bases = [simulate_tracks(seed, n_frames).tracks for seed in range(4)] if missing else []
    write_s = []
    for index, key in enumerate(missing):
        tracks = _perturbed(bases[index % len(bases)], key)
        started = time.perf_counter()
        row = {**key, "tracks": tracks, "device": "simulated", "estimation_duration_s": 0.0}
        PoseEstimation.insert1(row, allow_direct_insert=True)
        write_s.append(time.perf_counter() - started)
        if index % 100 == 99:
            say(f"{index + 1} of {len(missing)} sessions written")
    FilteredTrack.insert([{**key, "filter_method": "raw", "tracks": None} for key in missing], allow_direct_insert=True)
    TrackQuality.insert(missing, allow_direct_insert=True)
    TrackQuality.Node.insert([row for key in missing for row in _qualities(key)], allow_direct_insert=True)
    return write_s


def _insert_sessions(folder: Path, n_sessions: int, n_frames: int) -> list[dict[str, Any]]:
    """Mice of two genotypes, half of them in the model's training set, with sessions on many days; their keys."""
    from schemas.labels import Skeleton
    from schemas.model import DeployedModel, Model
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    mice = [f"mouse{index:03}" for index in range(N_MICE)]
    if not Model():
        bundle = folder / "bundle"
        bundle.mkdir()
        (bundle / "weights").write_bytes(b"none: the tracks are simulated")
        Mouse.insert(
            {"mouse_id": mouse, "sex": ("female", "male")[index % 2], "genotype": ("wt", "ko")[index // 2 % 2]}
            for index, mouse in enumerate(mice)
        )
        Skeleton.insert1({"skeleton_id": SKELETON_ID})
        Skeleton.Node.insert(
            {"skeleton_id": SKELETON_ID, "node": node, "node_index": index} for index, node in enumerate(NODES)
        )
        row = {"model_id": MODEL_ID, "camera": "lower", "skeleton_id": SKELETON_ID}
        Model.insert1(
            {**row, "estimator": "sleap", "model_name": "simulated", "bundle": bundle, "training_mice_known": True}
        )
        Model.Mouse.insert({"model_id": MODEL_ID, "mouse_id": mouse} for mouse in mice[: N_MICE // 2])
    DeployedModel.insert1({"camera": "lower", "model_id": MODEL_ID}, skip_duplicates=True)
    keys = [
        {
            "mouse_id": mice[index % N_MICE],
            "session_date": date(2026, 1, 1) + timedelta(days=index % 300),
            "session_number": index // N_MICE + 1,
        }
        for index in range(n_sessions)
    ]
    Session.insert([{**key, "session_folder": "simulated"} for key in keys], skip_duplicates=True)
    video = {"camera": "lower", "video_file": "simulated", "file_size_bytes": 0, "n_frames": n_frames}
    video |= {"fps_numerator": 100, "fps_denominator": 1, "width_px": 300, "height_px": 300}
    Video.insert(
        [{**key, **video, "content_hash": f"{index:064}"} for index, key in enumerate(keys)], skip_duplicates=True
    )
    return [{**key, "camera": "lower", "model_id": MODEL_ID} for key in keys]


def _perturbed(tracks: Tracks, key: dict[str, Any]) -> Tracks:
    """Other tracks with the same statistics: turned in time, with another half pixel of noise."""
    rng = np.random.default_rng([int(key["mouse_id"][5:]), key["session_number"]])
    shift = int(rng.integers(tracks.n_frames))
    position = np.roll(tracks.position, shift, axis=0)
    position = position + 0.5 * rng.standard_normal(position.shape, dtype=np.float32)
    return Tracks(position, np.roll(tracks.score, shift, axis=0), tracks.time, tracks.nodes)


def _qualities(key: dict[str, Any]) -> list[dict[str, Any]]:
    rng = np.random.default_rng([7, int(key["mouse_id"][5:]), key["session_number"]])
    quantiles = {f"score_p{level:02}": 0.5 + level / 250 for level in (5, 25, 50, 75, 95)}
    found = rng.uniform(0.9, 1.0, len(NODES))
    return [
        {**key, "node": node, "fraction_found": fraction, "n_jumps": 3, "fraction_outside": 0.0, **quantiles}
        for node, fraction in zip(NODES, found, strict=True)
    ]


def again(n_sessions: int) -> tuple[list[float], list[float]]:
    """Store some sessions' tracks once more, under another model's key; seconds of each, and size over `.npy`.

    The other model's rows and files are removed afterwards.
    """
    from pipeline import query
    from schemas.model import Model
    from schemas.pose import PoseEstimation
    from schemas.stored.publishing import published_or_removed

    other = "f" * 16
    with tempfile.TemporaryDirectory() as bundle:
        (Path(bundle) / "weights").write_bytes(b"none")
        Model.insert1({**Model.fetch1(), "model_id": other, "bundle": bundle}, skip_duplicates=True)
    seconds, sizes = [], []
    selection = query.tracks()
    for row, tracks in selection.pick(range(min(n_sessions, len(selection)))):
        key = {name: row[name] for name in PoseEstimation.primary_key} | {"model_id": other}
        line = {**key, "tracks": tracks, "device": "simulated", "estimation_duration_s": 0.0}
        started = time.perf_counter()
        with published_or_removed():
            PoseEstimation.insert1(line, allow_direct_insert=True)
        seconds.append(time.perf_counter() - started)
        file = Path((PoseEstimation & key).fetch1("tracks").address)
        sizes.append(file.stat().st_size / _npy_bytes(tracks))
        file.unlink()
    (PoseEstimation & {"model_id": other}).delete_quick()
    (Model & {"model_id": other}).delete_quick()
    return seconds, sizes


def _npy_bytes(tracks: Tracks) -> int:
    """Bytes of x, y and score of all nodes as float32 in one `.npy`."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([tracks.position, tracks.score[..., None]], axis=-1))
    return len(buffer.getvalue())
