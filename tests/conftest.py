"""What several test modules share: a real database of their own, short videos, session folders."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import hypothesis
import hypothesis.database
import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray

from compute.tracks import Tracks
from compute.video import write_video
from pipeline.database.connection import DATABASE_FOLDER_NAME, close_connection
from pipeline.database.embedded import PORT, SERVER_OPTIONS, SUPERUSER, EmbeddedServer
from pipeline.lab import connect_lab
from pipeline.settings import Settings
from schemas.making.provenance import recording_provenance

# No test is timed: a shared machine is slow at times. Property tests try the same examples at every run; `make fuzz`
# tries new ones, those that failed before first. An example once found becomes an explicit one of its test.
hypothesis.settings.register_profile("orofacial", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=2000,
    database=hypothesis.database.DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis" / "examples"),
    print_blob=True,
)
hypothesis.settings.load_profile("orofacial")

# The tests have databases of their own, never the one that this machine is configured for.
for _variable in [name for name in os.environ if name.startswith(("DJ_", "OROFACIAL_"))]:
    del os.environ[_variable]

# No test waits for the disk at each change of a row. A killed server loses nothing by this, only a power cut would.
SERVER_OPTIONS["fsync"] = "off"

_prefix_number = itertools.count()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with an embedded PostgreSQL that lives as long as the tests of this process."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("here"))  # away from anybody's datajoint.json
    yield tmp_path_factory.mktemp("data")
    close_connection()
    os.chdir(before)


@pytest.fixture(scope="module")
def settings(data_folder: Path) -> Iterator[Settings]:
    """Settings with a schema prefix of the test module's own: its tables start empty, and go with the module."""
    prefix = f"test{next(_prefix_number)}_"
    yield Settings(data_folder=data_folder, schema_prefix=prefix)
    drop_schemas(data_folder, prefix)


def drop_schemas(data_folder: Path, prefix: str) -> None:
    """Drop a module's schemas: each question of DataJoint about foreign keys reads those of the whole server."""
    server = EmbeddedServer(data_folder / DATABASE_FOLDER_NAME)
    if not server.cluster.exists():
        return  # no test has used the database
    server.enter()
    connection = psycopg2.connect(host=str(server.socket_folder), user=SUPERUSER, dbname="postgres", port=PORT)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (prefix,))
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
    connection.close()
    server.leave()


NewLab = Callable[[Settings], Settings]
EMPTY, SMALL = "emptylab_", "smalllab_"
"""Schema prefixes of the labs that test modules get copies of: declaring tables and computing take seconds."""


def run_postgresql(data_folder: Path, program: str, *words: str, said: str = "") -> str:
    """Run a program of PostgreSQL on the embedded database, with what it reads, and return what it prints."""
    server = EmbeddedServer(data_folder / DATABASE_FOLDER_NAME)
    server.enter()
    where = ("-h", str(server.socket_folder), "-p", str(PORT), "-U", SUPERUSER, "-d", "postgres")
    command = [str(server._programs() / program), *where, *words]
    result = subprocess.run(command, input=said, check=True, capture_output=True, text=True)
    server.leave()
    return result.stdout


def dump_lab(data_folder: Path, prefix: str) -> str:
    """SQL that makes a lab's tables and rows, which are dropped."""
    text = run_postgresql(data_folder, "pg_dump", f"--schema={prefix}*", "--inserts", "--rows-per-insert=1000")
    drop_schemas(data_folder, prefix)
    return text


def restore_lab(data_folder: Path, text: str) -> None:
    """Make the tables and rows of a lab that was dumped."""
    run_postgresql(data_folder, "psql", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", said=text)


@pytest.fixture(scope="session")
def connect_new_lab(data_folder: Path) -> NewLab:
    """Connect to a new lab of the embedded database, whose tables are copied from a first one."""
    dumps: list[str] = []

    def connect(settings: Settings) -> Settings:
        if not dumps:
            connect_lab(settings=Settings(data_folder=data_folder, schema_prefix=EMPTY))
            dumps.append(dump_lab(data_folder, EMPTY))
        restore_lab(data_folder, dumps[0].replace(EMPTY, settings.schema_prefix))
        return connect_lab(settings=settings).settings

    return connect


@pytest.fixture(scope="module")
def database(settings: Settings, connect_new_lab: NewLab) -> Settings:
    """Connected and activated."""
    return connect_new_lab(settings)


@pytest.fixture
def emptied(database: Settings) -> Iterator[None]:
    """Tables that are empty again after the test, but for what declaring put into them.

    DataJoint would ask about the foreign keys of each table first, which takes seconds.
    """
    import schemas

    yield
    names = [name for name in schemas.table_schema_names(database.schema_prefix) if not name.endswith("worker")]
    connection = schemas.subject.Mouse.connection
    tables = connection.query(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) AND tablename !~ '^(#|~[^~])'", (names,)
    ).fetchall()
    with connection.transaction:
        connection.query("SET LOCAL session_replication_role = replica")  # no foreign key is checked
        connection.query(";".join(f'DELETE FROM "{schema}"."{table}"' for schema, table in tables))


def blob_frames(n_frames: int, seed: int = 0, width: int = 64, height: int = 48) -> Iterator[NDArray[np.uint8]]:
    """Gray frames with a bright blob that moves: something that a video codec can keep."""
    y, x = np.mgrid[:height, :width]
    for frame_index in range(n_frames):
        center = width / 2 + 10 * np.sin(frame_index / 5 + seed)
        yield (30 + 200 * np.exp(-((x - center) ** 2 + (y - height / 2 - seed) ** 2) / 40)).astype(np.uint8)


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Path]:
    """Write a session's folder below `tmp_path / "raw"`, each with other frames."""
    seeds = itertools.count(1)

    def make(
        name: str = "mouse01/2026-03-02_1", *, cameras: tuple[str, ...] = ("side", "lower"), n_frames: int = 20
    ) -> Path:
        folder = tmp_path / "raw" / name
        folder.mkdir(parents=True)
        for camera in cameras:
            seed = next(seeds) + zlib.crc32(name.encode()) % 1000 / 1000
            write_video(folder / f"{camera}.mp4", blob_frames(n_frames, seed), 100)
        return folder

    return make


@dataclass(frozen=True)
class SmallLab:
    """Three mice in a real database, with simulated tracks in place of a network's: made in seconds."""

    settings: Settings
    raw_folder: Path
    model_ids: dict[str, str]
    """Model of each camera, trained on mouse01 and mouse02."""


@dataclass(frozen=True)
class FirstLab:
    """What a `SmallLab` is copied from: SQL, folders in the stores, sessions."""

    dump: str
    folders: list[Path]
    raw_folder: Path
    model_ids: dict[str, str]


@pytest.fixture(scope="session")
def first_small_lab(data_folder: Path, connect_new_lab: NewLab, tmp_path_factory: pytest.TempPathFactory) -> FirstLab:
    """Ingested sessions, labels and models, with poses of the simulated mouse; everything after them is computed.

    The side camera of mouse01 has irregular timestamps; nothing is known about mouse03 but its name.
    """
    from ingest.pairs import add_node_pair
    from ingest.sessions import ingest_sessions
    from pipeline.work.populate import populate

    settings = connect_new_lab(Settings(data_folder=data_folder, schema_prefix=SMALL))
    folder = tmp_path_factory.mktemp("first_small_lab")
    raw_folder = folder / "raw"
    mice = ("mouse01", "mouse02", "mouse03")
    for seed, mouse in enumerate(mice):
        write_small_session(raw_folder / mouse / "2026-03-02_1", seed)
    times = np.arange(SMALL_N_FRAMES) / 100 + np.random.default_rng(0).uniform(0, 4e-3, SMALL_N_FRAMES)
    lines = "\n".join(map(repr, times.tolist()))
    (raw_folder / "mouse01" / "2026-03-02_1" / "side.timestamps.csv").write_text(lines)
    for mouse, sex in (("mouse01", "female"), ("mouse02", "male")):
        (raw_folder / mouse / "2026-03-02_1" / "session.toml").write_text(
            'start = 2026-03-02T10:30:00\nrig = "rig 1"\nexperimenter = "Doe, Jane"\nnotes = "calm"\n'
            f'[mouse]\nsex = "{sex}"\ndate_of_birth = 2026-01-01\ngenotype = "wild type"\n'
            "[px_per_mm]\nside = 10.0\nlower = 10.0\n"
        )
    assert {outcome.status for outcome in ingest_sessions(raw_folder, stable_after_s=0)} == {"ingested"}
    model_ids = {camera: insert_small_model(camera, folder) for camera in ("side", "lower")}
    insert_small_poses(model_ids)
    add_node_pair("left_snout_tip", "right_snout_tip", kind="rigid")
    assert not populate().failed
    folders = [path for path in settings.data_folder.rglob(f"{SMALL}*") if DATABASE_FOLDER_NAME not in path.parts]
    return FirstLab(dump_lab(data_folder, SMALL), folders, raw_folder, model_ids)


@pytest.fixture(scope="module")
def small_lab(database: Settings, first_small_lab: FirstLab, tmp_path_factory: pytest.TempPathFactory) -> SmallLab:
    """A copy of `first_small_lab` of the test module's own."""
    first, prefix = first_small_lab, database.schema_prefix
    raw_folder = tmp_path_factory.mktemp("small_lab") / "raw"
    shutil.copytree(first.raw_folder, raw_folder)
    for path in first.folders:
        shutil.copytree(path, path.with_name(path.name.replace(SMALL, prefix)))
    drop_schemas(database.data_folder, prefix)
    text = first.dump.replace(str(first.raw_folder), str(raw_folder)).replace(SMALL, prefix)
    restore_lab(database.data_folder, text)
    return SmallLab(connect_lab(settings=database).settings, raw_folder, first.model_ids)


RunCommand = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCommand]:
    """Run the command `orofacial`, or a program, with words, in a process of its own: see `tests/command_server.py`.

    `variables` are added to those of this process, `folder` is the current one by default, and `said` is what the
    command reads.
    """
    address = tmp_path_factory.mktemp("commands") / "socket"
    here = Path(__file__).parent
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
    server = subprocess.Popen(
        [sys.executable, here / "command_server.py", address],
        env={**environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(here.parent)},
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"listening\n"

    def run(
        *words: object, program: str | None = None, folder: Path | None = None, said: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        request = {
            "words": list(map(str, words)),
            "program": program,
            "variables": {**os.environ, "PYTHONPATH": str(here.parent), **variables},
            "folder": str(folder or Path.cwd()),
        }
        with contextlib.ExitStack() as opened:
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            streams = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            streams[0].write(said.encode())
            streams[0].seek(0)
            connection.connect(str(address))
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [one.fileno() for one in streams])
            code = connection.recv(100)
            assert code, f"orofacial {request['words']}: no answer"
            for stream in streams:
                stream.seek(0)
            out, error = (stream.read().decode() for stream in streams[1:])
        return subprocess.CompletedProcess(["orofacial", *request["words"]], int(code), out, error)

    yield run
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def orofacial(small_lab: SmallLab, run_command: RunCommand) -> RunCommand:
    """Run the command on the small lab's database, as a process of its own."""
    return partial(
        run_command,
        OROFACIAL_DATA_FOLDER=str(small_lab.settings.data_folder),
        OROFACIAL_SCHEMA_PREFIX=small_lab.settings.schema_prefix,
    )


SMALL_N_FRAMES = 200


def write_small_session(folder: Path, seed: int) -> None:
    """Write a session's folder with two short videos."""
    folder.mkdir(parents=True)
    for index, camera in enumerate(("side", "lower")):
        write_video(folder / f"{camera}.mp4", blob_frames(SMALL_N_FRAMES, 2 * seed + index + 1), 100)


def insert_small_model(camera: str, folder: Path) -> str:
    """Insert labels, a finished training with its evaluation, and the deployed model that came out of it."""
    from compute.labels import LabeledFrameSource, write_package
    from compute.simulated_mouse.anatomy import EDGES, NODES
    from ingest.deployment import deploy
    from ingest.labels import import_labels
    from schemas import evaluation, model

    package = folder / f"{camera}.pkg.slp"
    images = np.stack(list(blob_frames(4, seed=len(camera))))
    positions = np.random.default_rng(len(camera)).uniform(5, 40, (4, len(NODES), 2))
    sources = [LabeledFrameSource(f"raw/mouse0{1 + index % 2}/2026-03-02_1/{camera}.mp4", index) for index in range(4)]
    write_package(package, images, positions, NODES, EDGES, sources)
    labels = import_labels(package, camera=camera)
    bundle = folder / f"bundle_{camera}"
    bundle.mkdir()
    (bundle / "weights").write_text(camera)
    key = {"labels_id": labels.labels_id, "training_config": "small", "seed": 1}
    config = {"training_config": "small", "estimator": "sleap", "training_parameters": {"epochs": 2}}
    model.TrainingConfig.insert1(config, skip_duplicates=True)
    model.TrainingTask.insert1(key)
    model_id = model.hash_model(bundle)
    skeleton_id = (model.LabeledFrames & {"labels_id": labels.labels_id}).fetch1("skeleton_id")
    row = {"model_id": model_id, "camera": camera, "skeleton_id": skeleton_id, "estimator": "sleap"}
    row |= {"training_mice_known": True, "training_frames_known": True}
    model.Model.insert1({**row, "model_name": f"small {camera}", "n_training_frames": 3, "bundle": bundle})
    hashes = (model.LabeledFrames.Source & key).to_arrays("image_hash", order_by="labeled_frame_index")
    model.Model.Frame.insert([{"model_id": model_id, "image_hash": image_hash} for image_hash in hashes[:3]])
    model.Model.Mouse.insert([{"model_id": model_id, "mouse_id": mouse} for mouse in ("mouse01", "mouse02")])
    with recording_provenance() as record:
        made = {**key, "model_id": model_id, "training_history": [], "training_duration_s": 1.0}
    model.Training.insert1({**made, "training_provenance": record}, allow_direct_insert=True)
    errors = {"error_p50_px": 1.5, "error_p90_px": 3.0, "error_mean_px": 2.0}
    evaluated = {"model_id": model_id, "labels_id": labels.labels_id}
    counts = {"known_unseen": True, "n_evaluated_frames": 1, "n_seen_frames": 3}
    evaluation.ModelEvaluation.insert1({**evaluated, **counts, **errors}, allow_direct_insert=True)
    evaluation.ModelEvaluation.Node.insert(
        [{**evaluated, "node": node, "n_points": 1, "n_missed": 0, **errors} for node in NODES],
        allow_direct_insert=True,
    )
    deploy(model_id)
    return model_id


def insert_small_poses(model_ids: dict[str, str]) -> None:
    """Insert poses for every video that has none: the simulated truth with noise, gaps and a point by a person."""
    from schemas.pose import PoseEstimation
    from schemas.session import Video

    keys = (Video - PoseEstimation).keys()
    for key in keys:
        time = Video.frame_times((Video & key).fetch1())
        tracks = small_tracks(time, key["camera"], int(key["mouse_id"][-1]))
        with recording_provenance() as record:
            made = {
                **key,
                "model_id": model_ids[key["camera"]],
                "tracks": tracks,
                "device": "cpu",
                "estimation_duration_s": 1.0,
            }
        PoseEstimation.insert1({**made, "estimation_provenance": record}, allow_direct_insert=True)


def small_tracks(time: NDArray[np.float64], camera: str, seed: int) -> Tracks:
    """What a network might give for a simulated mouse."""
    from compute.simulated_mouse.anatomy import NODES
    from compute.simulated_mouse.simulation import simulate_mouse, simulate_session

    rng = np.random.default_rng(seed)
    session = simulate_session(simulate_mouse(seed), seed=seed, n_frames=time.size)
    position = session.position_px[camera] + rng.normal(0, 0.5, session.position_px[camera].shape)
    score = rng.uniform(0.3, 1.1, position.shape[:2])
    lost = rng.random(position.shape[:2]) < 0.03
    position[lost], score[lost] = np.nan, 0
    position[7, 2], score[7, 2] = [50.25, 60.5], np.nan  # placed by a person
    attributes = {"estimator": "sleap-nn", "minimum_score": 0.2, "versions": {"sleap-nn": "0.3.5"}}
    return Tracks(position, score, time, NODES, attributes=attributes)
