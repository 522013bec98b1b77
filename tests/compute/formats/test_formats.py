"""Every format gives back what was written: coordinates, NaN, scores, times; and other tools read the same from it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sleap_io as sio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compute.formats import FORMATS, ExportError, PortableTrack, format_of, read, write
from compute.formats import nwb as nwb_format
from compute.tracks import POINT_COLUMNS, Tracks

NODE_NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
    unique=True,
)
"""Any names that a person can type: with spaces, quotes, slashes, commas, unicode."""

KEEPS_FILTER_COLUMNS = set(FORMATS) - {"dlc-csv", "sleap-csv"}


@st.composite
def portable_tracks(draw: st.DrawFn) -> PortableTrack:
    nodes = draw(NODE_NAMES)
    n_frames = draw(st.integers(0, 5))
    shape = (n_frames, len(nodes))
    position = draw(arrays(np.float32, (*shape, 2), elements=st.floats(-1e4, 1e4, width=32)))
    position[draw(arrays(np.bool_, shape))] = np.nan
    score = draw(arrays(np.float32, shape, elements=st.floats(0, 2, width=32) | st.just(np.nan)))
    if draw(st.booleans()):
        time = np.arange(n_frames) / Fraction(draw(st.sampled_from(["100", "30000/1001", "29.97"])))
    else:
        time = np.cumsum(draw(arrays(np.float64, n_frames, elements=st.floats(1e-3, 1.0))))
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["sd"] = draw(arrays(np.float32, (*shape, 2), elements=st.floats(0, 10, width=32)))
        optional["rejected"] = draw(arrays(np.bool_, shape))
        optional["filled"] = draw(arrays(np.bool_, shape))
    if draw(st.booleans()):
        optional["spread"] = draw(arrays(np.float32, shape, elements=st.floats(0, 10, width=32) | st.just(np.nan)))
        optional["lasting_spread"] = draw(
            arrays(np.float32, shape, elements=st.floats(0, 10, width=32) | st.just(np.nan))
        )
    if draw(st.booleans()):
        optional["interval_half_width"] = draw(arrays(np.float32, shape, elements=st.floats(0, 10, width=32)))
    tracks = Tracks(
        position, score, time.astype(np.float64), tuple(nodes), **optional, attributes={"minimum_score": 0.2}
    )
    edges = draw(st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=3, unique=True))
    provenance = {"session": "mouse/2026-03-02_1", "camera": "side", "filter": {"filter_method": "kalman"}}
    return PortableTrack(
        tracks,
        tuple(edge for edge in edges if edge[0] != edge[1]),
        video_file=draw(st.sampled_from(["", "/raw/mouse/side.mp4"])),
        size_px=draw(st.sampled_from([None, (640, 480)])),
        provenance=provenance,
    )


def assert_same(found: PortableTrack, expected: PortableTrack, *, filter_columns: bool = True) -> None:
    one, other = found.tracks, expected.tracks
    assert one.nodes == other.nodes
    np.testing.assert_array_equal(np.isnan(one.position), np.isnan(other.position))
    np.testing.assert_allclose(one.position, other.position, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(one.score, other.score)
    np.testing.assert_allclose(one.time, other.time, rtol=0, atol=2e-9)
    for name in POINT_COLUMNS if filter_columns else ():
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.attributes == other.attributes
    assert (found.edges, found.video_file, found.size_px) == (expected.edges, expected.video_file, expected.size_px)
    assert found.provenance == expected.provenance


@pytest.mark.parametrize("format_name", list(FORMATS))
@given(track=portable_tracks())
@settings(
    max_examples=settings.default.max_examples // 4,  # files are slow
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_file_gives_back_what_was_written(format_name: str, track: PortableTrack, tmp_path: Path) -> None:
    path = tmp_path / f"file{FORMATS[format_name].ending}"
    if format_name == "dlc-h5" and not track.tracks.n_frames:
        with pytest.raises(ExportError, match="without frames"):
            write(format_name, path, track)
        return
    write(format_name, path, track)
    assert format_of(path) == format_name
    assert_same(read(path), track, filter_columns=format_name in KEEPS_FILTER_COLUMNS)
    assert not list(tmp_path.glob(".part*"))


NODES = ("jaw tip", "größe", "c")


def example(n_frames: int = 6, **changes: Any) -> PortableTrack:
    rng = np.random.default_rng(0)
    position = rng.normal(50, 5, (n_frames, 3, 2))
    score = rng.uniform(0.2, 1.1, (n_frames, 3))
    position[1], score[1] = np.nan, 0
    position[2, 0], score[2, 0] = np.nan, 0
    score[3, 1] = np.nan
    tracks = Tracks(position, score, changes.pop("time", np.arange(n_frames) / 100), NODES)
    return PortableTrack(tracks, (("jaw tip", "c"),), **{"video_file": "side.mp4", "size_px": (64, 48), **changes})


def test_sleap_reads_the_slp_and_may_save_it_again(tmp_path: Path) -> None:
    track = example()
    write("slp", tmp_path / "a.slp", track)
    labels = sio.load_slp(str(tmp_path / "a.slp"), open_videos=False)
    np.testing.assert_allclose(labels.numpy()[:, 0], track.tracks.position, atol=1e-4)
    assert labels.skeleton.edge_names == [("jaw tip", "c")]
    labels.save(str(tmp_path / "b.slp"), verbose=False)
    with pytest.raises(ExportError, match="--fps"):
        read(tmp_path / "b.slp")
    again = read(tmp_path / "b.slp", fps=100).tracks
    np.testing.assert_array_equal(again.score, track.tracks.score)
    np.testing.assert_allclose(again.position, track.tracks.position, atol=1e-4)


def test_a_point_that_was_corrected_in_sleap_comes_back_as_a_persons(tmp_path: Path) -> None:
    write("slp", tmp_path / "a.slp", example())
    labels = sio.load_slp(str(tmp_path / "a.slp"), open_videos=False)
    person = sio.Instance.from_numpy(np.array([[1, 2], [3, 4], [np.nan, np.nan]]), skeleton=labels.skeleton)
    labels[4].instances.append(person)
    labels.save(str(tmp_path / "b.slp"), verbose=False)
    tracks = read(tmp_path / "b.slp", fps=100).tracks
    np.testing.assert_array_equal(tracks.position[4, :2], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(tracks.score[4], [np.nan, np.nan, 0])


def test_the_analysis_file_is_laid_out_as_sleap_does_it(tmp_path: Path) -> None:
    track = example()
    write("analysis", tmp_path / "ours.analysis.h5", track)
    write("slp", tmp_path / "a.slp", track)
    labels = sio.load_slp(str(tmp_path / "a.slp"), open_videos=False)
    sio.save_analysis_h5(labels, str(tmp_path / "theirs.h5"))
    with h5py.File(tmp_path / "ours.analysis.h5") as ours, h5py.File(tmp_path / "theirs.h5") as theirs:
        assert set(theirs) <= set(ours)
        for name in theirs:
            assert ours[name].shape == theirs[name].shape, name
            assert ours[name].dtype.kind == theirs[name].dtype.kind, name
            assert dict(ours[name].attrs) == dict(theirs[name].attrs), name
        for name in ("tracks", "point_scores", "node_names", "edge_names", "edge_inds"):
            np.testing.assert_array_equal(ours[name][:], theirs[name][:])
    read_by_sleap = sio.load_analysis_h5(str(tmp_path / "ours.analysis.h5"))
    assert len(read_by_sleap) == 5  # a frame where nothing was found has no instance there
    theirs_read = read(tmp_path / "theirs.h5", fps=100).tracks
    np.testing.assert_allclose(theirs_read.position, track.tracks.position, atol=1e-4)
    np.testing.assert_array_equal(theirs_read.score, track.tracks.score)


def test_sleap_io_reads_our_csv_of_sleap(tmp_path: Path) -> None:
    track = example()
    write("sleap-csv", tmp_path / "a.sleap.csv", track)
    labels = sio.load_csv(str(tmp_path / "a.sleap.csv"), format="sleap", video="side.mp4")
    for frame in labels:
        (one,) = frame.instances
        order = [one.skeleton.node_names.index(node) for node in NODES]
        np.testing.assert_allclose(one.numpy()[order], track.tracks.position[frame.frame_idx], atol=1e-4)
    assert len(labels) >= 5


@pytest.mark.parametrize("format_name", ["dlc-csv", "dlc-h5"])
def test_deeplabcuts_tables_are_what_pandas_and_sleap_read(format_name: str, tmp_path: Path) -> None:
    track = example()
    path = tmp_path / f"a{FORMATS[format_name].ending}"
    write(format_name, path, track)
    frame = pd.read_csv(path, header=[0, 1, 2], index_col=0) if format_name == "dlc-csv" else pd.read_hdf(path)
    assert frame.columns.names == ["scorer", "bodyparts", "coords"]
    assert list(dict.fromkeys(frame.columns.get_level_values("bodyparts"))) == list(NODES)
    scorer = frame.columns[0][0]
    np.testing.assert_allclose(frame[scorer]["größe"][["x", "y"]], track.tracks.position[:, 1], atol=1e-4)
    np.testing.assert_allclose(frame[scorer]["c"]["likelihood"], track.tracks.score[:, 2], atol=1e-6)


def test_a_csv_of_deeplabcut_itself_needs_a_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "dlc.csv"
    path.write_text(
        "scorer,net,net,net\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n0,1.5,2.5,0.9\n1,,,0.0\n",
        encoding="utf-8",
    )
    with pytest.raises(ExportError, match="--fps"):
        read(path)
    tracks = read(path, fps=50).tracks
    assert tracks.time.tolist() == [0, 0.02]
    np.testing.assert_array_equal(tracks.position[:, 0], [[1.5, 2.5], [np.nan, np.nan]])


def test_parquet_explains_its_columns(tmp_path: Path) -> None:
    from compute.formats import parquet_folder as parquet

    parquet.write(tmp_path / "a.parquet", example(), row={"mouse_id": '"; drop table', "held_out": True})
    parquet.write_parquet_dictionary(tmp_path)
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("größe_x").metadata[b"unit"] == b"px"
    assert all(field.metadata[b"description"] for field in schema)
    assert pq.read_table(tmp_path / "a.parquet")["mouse_id"].unique().to_pylist() == ['"; drop table']
    named = {one["column"] for one in json.loads((tmp_path / "data_dictionary.json").read_text())["columns"]}
    for column in schema.names:
        assert column in named or f"<node>_{column.rpartition('_')[2]}" in named
    assert_same(read(tmp_path / "a.parquet"), example())


def test_irregular_times_are_exact_in_nwb_and_regular_ones_are_a_rate(tmp_path: Path) -> None:
    import pynwb

    irregular = np.arange(6) / 100 + np.array([0, 1, 0, 3, 2, 0]) * 1e-4
    nwb_format.write(tmp_path / "a.nwb", [example(time=irregular)])
    np.testing.assert_array_equal(read(tmp_path / "a.nwb").tracks.time, irregular)
    ntsc = np.arange(6) * 1001 / 30000
    nwb_format.write(tmp_path / "b.nwb", [example(time=ntsc, provenance={"video": {"fps": "30000/1001"}})])
    with pynwb.NWBHDF5IO(tmp_path / "b.nwb", "r") as io:
        (video,) = io.read().acquisition.values()
        assert video.rate == 30000 / 1001  # not rounded to single precision
    assert np.abs(read(tmp_path / "b.nwb").tracks.time - ntsc).max() < 1e-12


def test_sessions_and_names_in_one_nwb_file_are_checked(tmp_path: Path) -> None:
    one, other = example(provenance={"session": "a"}), example(provenance={"session": "b"})
    with pytest.raises(ExportError, match="one session"):
        nwb_format.write(tmp_path / "a.nwb", [one, other])
    with pytest.raises(ExportError, match="the same camera"):
        nwb_format.write(tmp_path / "a.nwb", [one, one])
    filtered = example(provenance={"session": "a", "filter": {"filter_method": "kalman"}})
    nwb_format.write(tmp_path / "a.nwb", [one, filtered])
    with pytest.raises(ExportError, match="camera_kalman, camera_raw"):
        read(tmp_path / "a.nwb")
    assert_same(read(tmp_path / "a.nwb", name="camera_kalman"), filtered)


@pytest.mark.parametrize("ending", [".nwb", ".slp", ".analysis.h5", ".dlc.h5", ".parquet", ".csv", ".txt"])
def test_a_broken_file_is_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{ending}"
    path.write_bytes(b"this is no such file")
    with pytest.raises(ExportError, match="broken"):
        read(path)


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_a_truncated_file_is_named_and_gives_no_half_result(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{FORMATS[format_name].ending}"
    write(format_name, path, example(500, time=np.arange(500) / 100))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3 if "csv" not in format_name else -40])
    with pytest.raises(ExportError, match="file"):
        read(path)


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_an_export_that_was_killed_is_simply_done_again(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{FORMATS[format_name].ending}"
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = path.with_name(f".part-{platform.node()}-{ended.pid}-1-0.{path.name}")
    left.write_bytes(b"as far as it had come")
    write(format_name, path, example())
    assert_same(read(path), example())
    assert not list(tmp_path.glob(".part*"))


EXPORT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from compute.formats import PortableTrack, write
from compute.tracks import POINT_COLUMNS, Tracks
value = float(sys.argv[3])
shape = (3000, 3)
tracks = Tracks(np.full((*shape, 2), value), np.full(shape, value), np.arange(3000) / 100, ("a", "b", "c"))
track = PortableTrack(tracks, video_file=sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    write("csv", Path(sys.argv[2]), track)
"""


def test_two_exports_to_one_name_leave_one_of_both_with_its_own_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    root = str(Path(__file__).parents[3])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    exports = [
        subprocess.Popen([sys.executable, "-c", EXPORT, root, str(path), value], text=True, **pipes) for value in "12"
    ]
    for export in exports:
        assert export.stdout.readline() == "ready\n"
    for export in exports:
        export.stdin.write("go\n")
        export.stdin.flush()
    assert [export.communicate() for export in exports] == [("", ""), ("", "")]
    track = read(path)
    (value,) = np.unique(track.tracks.position)
    assert track.tracks.n_frames == 3000
    assert float(track.video_file) == value
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tracks.csv", "tracks.csv.json"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportError, match="taken"):
        write("csv", tmp_path / "taken" / "a.csv", example())
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
