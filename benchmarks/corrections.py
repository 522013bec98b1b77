"""How long it takes to rename a mouse with many sessions and results, on each database.

    python benchmarks/corrections.py [--json] [--sessions 1000] [--database postgresql mariadb]

rename_s   renaming a mouse with so many sessions of 800 rows each, history and queue included
n_rows     rows that hold its name, jobs not counted

A session has 800 rows, as two cameras, eight filters and 21 pairs of nodes give them, each with its provenance. Every
row is there under the new name afterwards, and none under the old one, or the benchmark ends with an error.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from servers import MariaDB, PostgreSQL

SERVERS = {PostgreSQL.name: PostgreSQL, MariaDB.name: MariaDB}
SESSION = {"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 0}
N_FILTERS = 8
N_BOUTS = 44
"""Of each video; with them a session has 800 rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--database", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--one", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options.one, options.sessions)))
        return
    results = {name: _in_process(name, options.sessions) for name in options.database}
    if options.json:
        print(json.dumps(results))
    else:
        for name, result in results.items():
            print(f"{name}: " + ", ".join(f"{what} {number:.4g}" for what, number in result.items()))


def _in_process(name: str, n_sessions: int) -> dict[str, float]:
    """One database in a process of its own: DataJoint has one configuration a process."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("DJ_", "OROFACIAL_"))}
    command = [sys.executable, __file__, "--one", name, "--sessions", str(n_sessions)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=clean)
    if done.returncode:
        sys.exit(done.returncode)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def run(database: str, n_sessions: int) -> dict[str, float]:
    """Fill a database of its own, rename, and look whether every row followed."""
    data_folder = Path(tempfile.mkdtemp(prefix="orofacial-corrections-"))
    os.chdir(data_folder)
    server = PostgreSQL(data_folder) if database == PostgreSQL.name else MariaDB()
    try:
        server.start()
        os.environ.update(server.environment)
        from faults import _connect

        _connect(data_folder)
        from pipeline.corrections.renames import rename_mouse

        fill_session()
        multiply(n_sessions)
        n_rows = count_rows("mouse01")
        started = time.perf_counter()
        rename_mouse("mouse01", "M001", reason="benchmark")
        rename_s = time.perf_counter() - started
        left, found = count_rows("mouse01"), count_rows("M001")
        if left or found != n_rows:
            sys.exit(f"{database}: {found} of {n_rows} rows have the new name, and {left} the old one")
        return {"rename_s": round(rename_s, 3), "n_rows": n_rows, "n_sessions": n_sessions}
    finally:
        from pipeline.database.connection import close_connection

        close_connection()
        server.stop()
        shutil.rmtree(data_folder, ignore_errors=True)


def tables() -> list[Any]:
    """Tables that hold a session, each after those that it refers to."""
    from schemas.metric import Bouts, DistanceMetrics, FilterComparison
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.track import FilteredTrack, TrackQuality

    return [
        *(Session, Video, PoseEstimation, TrackQuality, TrackQuality.Node, FilteredTrack),
        *(DistanceMetrics, FilterComparison, Bouts, Bouts.Bout),
    ]


def fill_session() -> None:
    """One session with the rows of all that is computed from it; their numbers mean nothing."""
    from compute.simulated_mouse.anatomy import EDGES, NODES
    from ingest.labels import insert_label_skeleton
    from ingest.pairs import add_node_pair
    from schemas.making.provenance import provenance_environment
    from schemas.metric import BoutMethod, PairDefinition
    from schemas.model import Model
    from schemas.subject import Mouse
    from schemas.track import FilterMethod

    skeleton_id = insert_label_skeleton(NODES, EDGES)
    made = json.dumps({**provenance_environment(), "started_at": "2026-03-02T10:00:00.000+00:00", "duration_s": 1.0})
    Mouse.insert1({"mouse_id": SESSION["mouse_id"]})
    filters = sorted(FilterMethod.to_arrays("filter_method"))[:N_FILTERS]
    method = {"bout_method": "jaw", "filter_method": filters[0], "node": NODES[0], "minimum_speed_px_per_s": 10.0}
    BoutMethod.insert1({**method, "minimum_duration_s": 0.1})
    for node_a, node_b in itertools.combinations(NODES, 2):
        add_node_pair(node_a, node_b, kind="moving")
    pairs = PairDefinition.keys()
    session, video, pose, quality, quality_node, track, distance, comparison, bouts, bout = tables()
    _insert(session, [{**SESSION, "session_folder": "/nowhere"}])
    for index, camera in enumerate(("side", "lower")):
        with tempfile.TemporaryDirectory() as bundle:
            (Path(bundle) / "weights").write_text(camera)
            model = {"model_id": str(index) * 16, "camera": camera, "skeleton_id": skeleton_id, "estimator": "sleap"}
            Model.insert1({**model, "model_name": camera, "bundle": bundle})
        key = {**SESSION, "camera": camera}
        size = {"n_frames": 100, "fps_numerator": 100, "fps_denominator": 1, "width_px": 64, "height_px": 48}
        file = {"video_file": f"/nowhere/{camera}.mp4", "file_size_bytes": 1, "content_hash": camera.rjust(64, "0")}
        _insert(video, [{**key, **file, **size}])
        key["model_id"] = model["model_id"]
        tracks = json.dumps({"path": f"nowhere/{camera}", "store": "tracks", "n_frames": 100, "nodes": list(NODES)})
        said = {"device": "none", "estimation_duration_s": 0, "estimation_provenance": made}
        _insert(pose, [{**key, "tracks": tracks, **said}])
        _insert(quality, [{**key, "quality_provenance": made}])
        found = {"fraction_found": 1, "n_jumps": 0, "fraction_outside": 0}
        _insert(quality_node, [{**key, "node": node, **found} for node in NODES])
        keys = [{**key, "filter_method": one} for one in filters]
        _insert(track, [{**one, "tracks": tracks, "filter_provenance": made} for one in keys])
        said = {"fraction_missing": 0, "mean_px": 1, "variance_px2": 1, "distance_provenance": made}
        both = [(one, pair) for one in keys for pair in pairs]
        without = [(one, {name: pair[name] for name in pair if name != "pair_definition"}) for one, pair in both]
        _insert(distance, [{**one, **pair, **said} for one, pair in without])
        said = {"n_bouts": 0, "length_px": 1, "noise_kept": 1, "comparison_provenance": made}
        _insert(comparison, [{**one, **pair, **said} for one, pair in both])
        of_bouts = {**keys[0], "bout_method": "jaw"}
        said = {"n_bouts": N_BOUTS, "time_in_bouts_s": 1, "fraction_known": 1, "bouts_provenance": made}
        _insert(bouts, [{**of_bouts, **said}])
        said = {"start_s": 0, "end_s": 1, "path_px": 1, "peak_speed_px_per_s": 1}
        _insert(bout, [{**of_bouts, "bout_index": number, **said} for number in range(N_BOUTS)])


def _insert(table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows as they are: no file is written for them."""
    names = list(rows[0])
    quoted = ", ".join(map(table.connection.adapter.quote_identifier, names))
    places = ", ".join(["(" + ", ".join(["%s"] * len(names)) + ")"] * len(rows))
    values = tuple(row[name] for row in rows for name in names)
    table.connection.query(f"INSERT INTO {table().full_table_name} ({quoted}) VALUES {places}", args=values)


def multiply(n_sessions: int) -> None:
    """Copy the session until there are so many."""
    from schemas.session import Session, Video

    query, is_postgresql = Session.connection.query, Session.connection.adapter.backend == "postgresql"
    off, on = (
        ("SET session_replication_role = replica", "SET session_replication_role = DEFAULT")
        if is_postgresql
        else ("SET foreign_key_checks = 0", "SET foreign_key_checks = 1")
    )
    query(off)  # the rows fit each other: a check of each takes minutes
    quote = Session.connection.adapter.quote_identifier
    for table in tables():
        n_there = 1
        while n_there < n_sessions:
            n_new = min(n_there, n_sessions - n_there)
            changed = {"session_number": f"session_number + {n_there}"}
            if table is Video:
                changed["content_hash"] = f"lpad(concat(camera, session_number + {n_there}), 64, '0')"
            names = list(table.heading.names)
            selected = ", ".join(changed.get(name, quote(name)) for name in names)
            query(
                f"INSERT INTO {table().full_table_name} ({', '.join(map(quote, names))}) SELECT {selected}"
                f" FROM {table().full_table_name} WHERE session_number < {n_new}"
            )
            n_there += n_new
        if is_postgresql:
            query(f"ANALYZE {table().full_table_name}")
    query(on)


def count_rows(mouse: str) -> int:
    """Rows that hold a mouse's name."""
    return sum(
        int(
            table.connection.query(
                f"SELECT count(*) FROM {table().full_table_name} WHERE mouse_id = %s", args=(mouse,)
            ).fetchone()[0]
        )
        for table in tables()
    )


if __name__ == "__main__":
    main()
