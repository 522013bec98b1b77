"""One query over a simulated store of 1,000 sessions x 100,000 frames x 7 nodes, beside bare DuckDB and HDF5 files.

    .venv/bin/python benchmarks/query.py FOLDER [--json] [--sessions 1000] [--frames 100000] [--build-only]

The store is built in FOLDER on the embedded database, through the real tables, and reused if it is there (6.1 GB; with
the HDF5 files 7 GB). Everything is read from the page cache where memory allows; peers take turns, and the figures are
medians over the rounds.

query_over_duckdb         time of `query.sql("select var_samp(jaw_tip_x) from tracks")`, the search in the database
                          included, over that of bare DuckDB on the same file list
by_mouse_over_duckdb      the same grouped by mouse, against bare DuckDB grouped by file name
hdf5_over_query           time of the same reduction from SLEAP analysis HDF5 files, one after the other (a sample of
                          them, scaled by their number), over the query's; each is read as SLEAP's documentation and
                          movement read it: `file["tracks"][:].T`
hdf5_slice_over_query     the same where only the one coordinate is read, `file["tracks"][0, 0, node]`, which the layout
                          and chunks of these files allow to somebody who knows them
find_sessions_ms          `query.tracks` by genotype, held out and quality
first_rows_s              from the call of `query.sql` to ten rows of one node over everything
query_memory_mb           peak memory of a process of its own that connects and runs the query
size_over_npy             bytes of a session's file over those of the same numbers as float32 in `.npy`
write_ms                  storing a session's tracks: `PoseEstimation.insert1`, file and row
s3_bytes_fraction         bytes that a local S3 server sends for one node of seven, over those of the file
                          (1/7 is 0.143); needs `make s3-server`
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

warnings.filterwarnings("ignore", message="No datajoint.json found")
ROOT = Path(__file__).resolve().parent.parent
STATEMENT = "select var_samp(jaw_tip_x) from tracks"
BY_MOUSE = "select mouse_id, var_samp(jaw_tip_x) from tracks group by 1"
WRITTEN_AGAIN = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hdf5-files", type=int, default=15)
    parser.add_argument("--build-only", action="store_true", help="build the store, measure nothing")
    parser.add_argument("--only-query", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_query:
        only_query(arguments.folder)
        return
    from query_store import build

    arguments.folder.mkdir(parents=True, exist_ok=True)
    build(arguments.folder, arguments.sessions, arguments.frames, lambda text: print(text, file=sys.stderr))
    write_analysis_files(arguments.folder, arguments.hdf5_files)
    if arguments.build_only:
        return
    result = measure(arguments.folder, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<24} {value:.4g}" if isinstance(value, float) else f"{name:<24} {value}")


def measure(folder: Path, n_rounds: int) -> dict[str, Any]:
    from pipeline import query

    selection = query.tracks()
    files = selection.files()
    bare, ours = paired_seconds(lambda: bare_duckdb(files), lambda: query.sql(STATEMENT).fetchall(), n_rounds)
    bare_by, ours_by = paired_seconds(
        lambda: bare_duckdb(files, by_file=True), lambda: query.sql(BY_MOUSE).fetchall(), n_rounds
    )
    hdf5_files = sorted((folder / "hdf5").glob("*.h5"))
    per_session = len(files) / len(hdf5_files)
    hdf5_s = per_session * median_seconds(lambda: read_hdf5(hdf5_files), 3)
    hdf5_slice_s = per_session * median_seconds(lambda: read_hdf5(hdf5_files, only_slice=True), 3)
    question = {"genotype": "wt", "held_out": True, "quality": "jaw_tip.found > 0.95"}
    first = "select mouse_id, frame_index, time_s, jaw_tip_x, jaw_tip_y from tracks limit 10"
    write_ms, size_over_npy = write_again(folder)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "n_sessions": len(files),
        "n_frames": selection.references[0].n_frames,
        "query_over_duckdb": float(np.median(ours / bare)),
        "by_mouse_over_duckdb": float(np.median(ours_by / bare_by)),
        "query_s": float(np.median(ours)),
        "duckdb_s": float(np.median(bare)),
        "hdf5_over_query": hdf5_s / float(np.median(ours)),
        "hdf5_slice_over_query": hdf5_slice_s / float(np.median(ours)),
        "find_sessions_ms": 1e3 * median_seconds(lambda: query.tracks(**question), 11),
        "n_found": len(query.tracks(**question)),
        "first_rows_s": median_seconds(lambda: query.sql(first).fetchall(), 7),
        "query_memory_mb": query_memory_mb(folder),
        "size_over_npy": size_over_npy,
        "write_ms": write_ms,
        "s3_bytes_fraction": s3_bytes_fraction(folder),
    }


def bare_duckdb(files: list[str], by_file: bool = False) -> list[Any]:
    """The same reduction by DuckDB alone, on the same list."""
    import duckdb

    listed = ", ".join(f"'{file}'" for file in files)
    what = "filename, var_samp(jaw_tip_x)" if by_file else "var_samp(jaw_tip_x)"
    options, group = (", filename=true", " group by 1") if by_file else ("", "")
    with duckdb.connect() as connection:
        return connection.execute(f"select {what} from read_parquet([{listed}]{options}){group}").fetchall()


def write_analysis_files(folder: Path, n_files: int) -> None:
    """Some sessions as SLEAP analysis HDF5: the layout, type, chunks and compression of `sio.save_analysis_h5`.

    (Which takes 10 s to build the labels of one session; the files' sizes agree to 1 %.)
    """
    import h5py

    from pipeline import query

    (folder / "hdf5").mkdir(exist_ok=True)
    selection = query.tracks()
    for index in range(min(n_files, len(selection))):
        path = folder / "hdf5" / f"{index:03}.h5"
        if path.exists():
            continue
        (_, tracks) = next(iter(selection.pick([index])))
        with h5py.File(path.with_suffix(".part"), "w") as file:
            values = {
                "tracks": tracks.position.astype(np.float64).transpose(2, 1, 0)[None],
                "point_scores": tracks.score.astype(np.float64).T[None],
                "track_occupancy": np.ones((tracks.n_frames, 1), np.uint8),
                "node_names": np.array([node.encode() for node in tracks.nodes]),
            }
            for name, value in values.items():
                file.create_dataset(name, data=value, compression="gzip", compression_opts=9)
        path.with_suffix(".part").rename(path)


def read_hdf5(files: list[Path], only_slice: bool = False) -> float:
    """Variance of the coordinate over all files, read one after the other; all of each, or only what is needed."""
    import h5py

    parts = []
    for path in files:
        with h5py.File(path) as file:
            node = [name.decode() for name in file["node_names"][:]].index("jaw_tip")
            parts.append(file["tracks"][0, 0, node] if only_slice else file["tracks"][:].T[:, node, 0, 0])
    return float(np.nanvar(np.concatenate(parts), ddof=1))


def write_again(folder: Path) -> tuple[float, float]:
    """Milliseconds to store a session's tracks in the table, and the file's size over that of `.npy`.

    Some sessions are deleted and stored again.
    """
    from query_store import again

    written, sizes = again(WRITTEN_AGAIN)
    return 1e3 * float(np.median(written)), float(np.median(sizes))


def only_query(folder: Path) -> None:
    """Run the query in this process and print its peak memory in MB."""
    from query_store import open_store

    from pipeline import query

    open_store(folder)
    query.sql(STATEMENT).fetchall()
    query.sql(BY_MOUSE).fetchall()
    print(peak_memory_mb())


def peak_memory_mb() -> float:
    """Peak memory of this process; `ru_maxrss` would be the parent's where that one is larger, since exec keeps it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def query_memory_mb(folder: Path) -> float:
    command = [sys.executable, __file__, str(folder), "--only-query"]
    peaks = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return float(np.median(peaks))


def s3_bytes_fraction(folder: Path) -> float:
    """Bytes sent by a local S3 server for `tracks(nodes=["jaw_tip"])`, over the size of the object."""
    import datajoint as dj
    from datajoint.storage import StorageBackend

    from compute.tracks.parquet import to_parquet
    from pipeline import query
    from schemas.stored.fetching import TracksReference
    from schemas.stored.object_store import S3FileSystem

    sys.path.insert(0, str(ROOT / "tests"))
    from s3_store import LocalS3

    reference = query.tracks().references[0]
    content = to_parquet(reference.tracks())
    with LocalS3() as server:
        assert dj.config.stores  # the store of this benchmark stays the folder; S3 is asked beside it
        backend = StorageBackend(server.store("tracks"))
        backend._fs = S3FileSystem("test", "test", {"endpoint_url": server.url})
        backend.put_buffer(content, "file.parquet")
        stored = {"path": "file.parquet", "n_frames": reference.n_frames, "nodes": list(reference.nodes)}
        before = server.sent_bytes()
        TracksReference(stored, backend).tracks(nodes=["jaw_tip"])
        return (server.sent_bytes() - before) / len(content)


def median_seconds(function: Callable[[], object], n_rounds: int) -> float:
    function()
    seconds = []
    for _ in range(n_rounds):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def paired_seconds(one: Callable[[], object], other: Callable[[], object], n_rounds: int) -> tuple[Any, Any]:
    """Seconds of two functions, shape (round,) each; who is first alternates."""
    pairs = np.empty((n_rounds, 2))
    for function in (one, other):
        function()
    for index in range(n_rounds):
        for which in (0, 1) if index % 2 else (1, 0):
            started = time.perf_counter()
            (one, other)[which]()
            pairs[index, which] = time.perf_counter() - started
    return pairs[:, 0], pairs[:, 1]


if __name__ == "__main__":
    main()
