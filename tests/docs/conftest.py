"""What the pages of the documentation work on: a small lab, a lab's own server, an S3 server, recordings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest

from compute.json_text import json_text
from pipeline.database.embedded import EmbeddedServer

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("s3_store", ROOT / "tests" / "s3_store.py")
assert _spec and _spec.loader
s3_store = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(s3_store)

QUICK = {"filters": 8, "max_stride": 8, "output_stride": 4, "scale": 0.5, "epochs": 2, "patience_epochs": 0}
"""A network that is trained in seconds."""

Page = tuple[Path, dict[str, str]]


def write_deeplabcut_poses(video_path: Path, n_frames: int, ending: str = "DLC_resnet50", seed: int = 0) -> None:
    """Write poses of two nodes as DeepLabCut does, beside a video."""
    position = np.random.default_rng(seed).normal(30, 1, (n_frames, 4))
    lines = ["scorer" + ",DLC_resnet50" * 6, "bodyparts" + ",center_snout_tip" * 3 + ",jaw_tip" * 3]
    lines.append("coords" + ",x,y,likelihood" * 2)
    lines += [f"{index},{a:.3f},{b:.3f},0.9,{c:.3f},{d:.3f},0.8" for index, (a, b, c, d) in enumerate(position)]
    video_path.with_name(f"{video_path.stem}{ending}.csv").write_text("\n".join(lines) + "\n")


def page_folder(folder: Path, raw_folder: Path, **variables: str) -> Page:
    """A folder as the pages describe it, and the environment of their commands."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "raw").symlink_to(raw_folder)
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OROFACIAL_DATA_FOLDER": str(folder / "orofacial"),
        **variables,
    }
    return folder, environment


@pytest.fixture
def lab_pages(small_lab: Any, tmp_path: Path) -> Callable[[str], Page]:
    """Folder and environment of a page that asks the small lab."""

    def make(name: str) -> Page:
        return page_folder(
            tmp_path / name,
            small_lab.raw_folder,
            OROFACIAL_DATA_FOLDER=str(small_lab.settings.data_folder),
            OROFACIAL_SCHEMA_PREFIX=small_lab.settings.schema_prefix,
        )

    return make


NAUGHTY = "m[1]* 2+ #'é"
"""A mouse whose name is a pattern, an address and a text in SQL."""


@pytest.fixture
def naughty_mouse(small_lab: Any) -> Iterator[None]:
    """A mouse more in the small lab, the columns of whose tracks are not those of the others."""
    from pipeline import query
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse
    from schemas.track import FilteredTrack

    (row, tracks), *_ = query.tracks(mouse="mouse01", camera="lower")
    named = {"mouse_id": NAUGHTY}
    video = {"mouse_id": "mouse01", "camera": "lower"}
    Mouse.insert1(named)
    Session.insert1({**(Session & video).fetch1(), **named, "session_folder": "elsewhere"})
    Video.insert1({**(Video & video).fetch1(), **named, "video_file": "elsewhere", "content_hash": "0" * 64})
    key = {name: {**row, **named}[name] for name in PoseEstimation.primary_key}
    made = {**key, "tracks": tracks, "device": "cpu", "estimation_duration_s": 1.0}
    PoseEstimation.insert1(made, allow_direct_insert=True)
    filtered = {**key, "filter_method": "kalman", "tracks": tracks.select(tracks.nodes[::-1])}
    FilteredTrack.insert1(filtered, allow_direct_insert=True)
    yield
    (Mouse & named).delete(prompt=False)


@pytest.fixture
def engines_page(lab_pages: Callable[[str], Page], small_lab: Any, naughty_mouse: None) -> Iterator[Page]:
    """The small lab with a copy of its tracks in S3, where the page's commands look for them; Spark and Dask."""
    engines = ROOT / ".venv-engines"
    if not (engines / ".installed").exists():
        pytest.fail(f"{engines} is missing: 'make engines' installs Spark and Dask there")
    if shutil.which("java") is None:
        pytest.fail("Spark needs Java: apt-get install default-jre-headless")
    folder, environment = lab_pages("engines")
    (folder / ".venv-engines").symlink_to(engines)
    options = ("spark.master local[2]", "spark.ui.enabled false", "spark.sql.shuffle.partitions 2")
    (folder / "spark-defaults.conf").write_text("\n".join(options))
    environment |= {"SPARK_CONF_DIR": str(folder), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder)}
    environment["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # it lives for seconds
    with s3_store.LocalS3() as server:
        server.upload(small_lab.settings.tracks_store, "tracks")
        (folder / "datajoint.json").write_text(json_text({"stores": {"tracks": server.store("tracks")}}))
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": server.url}
        yield folder, {**environment, **keys}


@pytest.fixture
def own_data(tmp_path: Path) -> Page:
    """Recordings and labels of three simulated mice, and no database yet."""
    from pipeline.demo.simulated_lab import simulate_lab

    lab = simulate_lab(
        tmp_path / "lab", n_training_mice=2, n_held_out_mice=1, n_frames=60, n_labeled_frames=6, n_processes=1
    )
    folder, environment = page_folder(tmp_path / "desk", lab.raw_folder)
    (folder / "labels").symlink_to(lab.folder / "labels")
    for mouse in lab.mice:
        write_deeplabcut_poses(lab.session_folder(mouse) / "side.mp4", 60)
        for seed in range(3):
            write_deeplabcut_poses(lab.session_folder(mouse) / "side.mp4", 60, f".rng={seed}", seed)
    (folder / "quick.toml").write_text("".join(f"{name} = {value}\n" for name, value in QUICK.items()))
    return folder, environment


@pytest.fixture
def lab_arrays(small_lab: Any) -> Iterator[str]:
    """Arrays that a lab has in a table of its own; the name of its schema."""
    import datajoint as dj

    name = f"{small_lab.settings.schema_prefix}old"
    schema = dj.Schema(name, connection=dj.conn())

    @schema
    class Pose(dj.Manual):
        definition = """
        pose : int32
        ---
        points : <blob>
        """

    Pose.insert1({"pose": 1, "points": np.random.default_rng(0).normal(30, 1, (20, 2, 2))})
    yield name
    schema.drop(prompt=False)


@pytest.fixture
def recordings(make_session: Callable[..., Path], tmp_path: Path) -> Path:
    """One session with poses that DeepLabCut wrote beside a video."""
    folder = make_session("mouse01/2026-03-02_1")
    write_deeplabcut_poses(folder / "side.mp4", 20)
    return tmp_path / "raw"


@pytest.fixture
def flat_recordings(make_session: Callable[..., Path], tmp_path: Path) -> Page:
    """Two sessions in a flat folder, a video that DeepLabCut drew, and a list of them; no database yet."""
    raw = tmp_path / "flat"
    raw.mkdir()
    lines = ["mouse,date,camera,file"]
    for mouse in ("m1", "m2"):
        folder = make_session(f"{mouse}/2026-03-02_1")
        for camera, name in (("side", "side"), ("lower", "bottom")):
            (folder / f"{camera}.mp4").rename(raw / f"{mouse}_20260302_{name}.avi")
            lines.append(f"{mouse},2026-03-02,{camera},{mouse}_20260302_{name}.avi")
    (raw / "m1_20260302_sideDLC_resnet50_labeled.mp4").touch()
    (raw / "recordings.csv").write_text("\n".join(lines))
    return page_folder(tmp_path / "desk", raw)


@pytest.fixture
def lab_server_page(tmp_path: Path, recordings: Path) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """A PostgreSQL on a port, with an administrator, as a lab has it."""
    server = EmbeddedServer(tmp_path / "server")
    server.enter()
    connection = psycopg2.connect(host=str(server.socket_folder), user="postgres", dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute("ALTER ROLE postgres PASSWORD 'secret'")
    connection.close()
    server.leave()
    (server.cluster / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server._run("pg_ctl", "start", "-w", "-l", "lab.log", "-o", f"-h 127.0.0.1 -p {port} -k ''")
    folder, environment = page_folder(tmp_path / "desk", recordings)
    yield folder, environment, {"db.lab.example": "127.0.0.1", "5432": str(port), "THE_PASSWORD": "secret"}
    server._run("pg_ctl", "stop", "-w", "-m", "fast")


@pytest.fixture
def s3_page(tmp_path: Path, recordings: Path) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """An S3 server with the bucket ``lab``."""
    with s3_store.LocalS3() as server:
        folder, environment = page_folder(tmp_path / "desk", recordings)
        address = server.url.removeprefix("http://")
        yield folder, environment, {"s3.lab.example": address, '"secure": true': '"secure": false'}
