"""What is a key in a file of tracks is honoured, wherever it stands; what contradicts itself is refused by name.

The files are written by other libraries where they can write them: pandas, sleap-io, ndx-pose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import sleap_io as sio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.formats import FORMATS, ExportError, PortableTrack, format_for, read, write
from compute.formats import nwb as nwb_format
from compute.formats.frame_rows import rows_by_frame
from compute.tracks import Tracks

NODES = ("nose", "jaw")
FPS = 100


def points(n_frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Position and score, shape (frame, node, 3)."""
    values = np.random.default_rng(seed).uniform(0, 1, (n_frames, len(NODES), 3)) * [600, 400, 1]
    return values.astype(np.float32)


def deeplabcut_table(frames: Sequence[int], values: NDArray[Any], **levels: Sequence[str]) -> pd.DataFrame:
    """A table as DeepLabCut makes it; ``scorer`` and ``individuals`` may be given."""
    names = {"scorer": ["net"], **levels, "bodyparts": list(NODES), "coords": ["x", "y", "likelihood"]}
    columns = pd.MultiIndex.from_product(list(names.values()), names=list(names))
    return pd.DataFrame(np.asarray(values).reshape(len(frames), -1), columns=columns, index=list(frames))


def write_deeplabcut_csv(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    deeplabcut_table(frames, values).to_csv(path)


def write_deeplabcut_hdf5(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    deeplabcut_table(frames, values).to_hdf(path, key="df_with_missing", format="table", mode="w")


def labels_of(frames: Sequence[int], values: NDArray[Any], *, n_frames: int | None = None) -> sio.Labels:
    skeleton = sio.Skeleton(list(NODES), edges=[NODES])
    video = sio.Video(filename="/raw/mouse01/side.mp4", open_backend=False)
    if n_frames is not None:
        video.backend_metadata = {"shape": [n_frames, 48, 64, 1]}
    labeled = [
        sio.LabeledFrame(video=video, frame_idx=int(frame), instances=[predicted(skeleton, row)])
        for frame, row in zip(frames, values, strict=True)
    ]
    return sio.Labels(labeled, videos=[video], skeletons=[skeleton])


def predicted(skeleton: sio.Skeleton, row: NDArray[Any], track: sio.Track | None = None) -> sio.PredictedInstance:
    one = sio.PredictedInstance.from_numpy(np.asarray(row, float), skeleton=skeleton, score=0.9)
    one.track = track
    return one


def write_slp(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    labels_of(frames, values, n_frames=max(frames) + 1).save(str(path), verbose=False)


def write_analysis(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    labels = labels_of(sorted(frames), values[np.argsort(frames)], n_frames=max(frames) + 1)
    sio.save_analysis_h5(labels, str(path), preset="standard")


def write_sleap_csv(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    sio.save_csv(labels_of(frames, values), str(path), format="sleap")
    table = pd.read_csv(path).sample(frac=1, random_state=len(frames))  # the order of the lines says nothing
    table.to_csv(path, index=False)


def pose_file(path: Path, poses: Sequence[tuple[str, str, dict[str, dict[str, Any]]]]) -> None:
    """An NWB file with PoseEstimations: module, name, and for each node the keywords of its series."""
    from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
    from pynwb import NWBHDF5IO, NWBFile

    file = NWBFile("d", "i", datetime(2026, 3, 2, tzinfo=UTC))
    skeleton = Skeleton(name="mouse", nodes=list(NODES))
    file.create_processing_module("behavior", "b").add(Skeletons(skeletons=[skeleton]))
    for module, name, series in poses:
        made = [
            PoseEstimationSeries(**{"name": node, "reference_frame": "r", "unit": "pixels", **options})
            for node, options in series.items()
        ]
        if module not in file.processing:
            file.create_processing_module(module, "m")
        file.processing[module].add(PoseEstimation(name=name, pose_estimation_series=made, skeleton=skeleton))
    with NWBHDF5IO(path, "w") as io:
        io.write(file)


def series_of(frames: Sequence[int], values: NDArray[Any], node: int, **options: Any) -> dict[str, Any]:
    times = np.asarray(frames) / FPS
    return {"data": values[:, node, :2], "confidence": values[:, node, 2], "timestamps": times, **options}


def write_nwb(path: Path, frames: Sequence[int], values: NDArray[Any]) -> None:
    series = {node: series_of(frames, values, index) for index, node in enumerate(NODES)}
    pose_file(path, [("behavior", "pose", series)])


WRITERS: dict[str, tuple[str, Callable[[Path, Sequence[int], NDArray[Any]], None]]] = {
    "deeplabcut csv": ("a.csv", write_deeplabcut_csv),
    "deeplabcut hdf5": ("a.h5", write_deeplabcut_hdf5),
    "slp": ("a.slp", write_slp),
    "analysis": ("a.analysis.h5", write_analysis),
    "sleap csv": ("a.csv", write_sleap_csv),
    "nwb": ("a.nwb", write_nwb),
}


@pytest.mark.parametrize("program", WRITERS)
@given(frames=st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True))
@settings(max_examples=settings.default.max_examples // 10, suppress_health_check=list(HealthCheck))
def test_rows_stand_where_their_frame_number_or_time_says(program: str, frames: list[int], tmp_path: Path) -> None:
    name, writer = WRITERS[program]
    values = points(len(frames))
    (tmp_path / name).unlink(missing_ok=True)
    writer(tmp_path / name, frames, values)
    tracks = read(tmp_path / name, fps=None if program == "nwb" else FPS).tracks
    order = [tracks.node_index(node) for node in NODES]  # sleap-io sorts the columns of a CSV
    if program == "nwb":
        np.testing.assert_allclose(tracks.time, np.sort(frames) / FPS)
        places = np.argsort(np.argsort(frames))
    else:
        assert tracks.n_frames == max(frames) + 1
        np.testing.assert_allclose(tracks.time, np.arange(tracks.n_frames) / FPS)
        places = np.array(frames)
    np.testing.assert_allclose(tracks.position[places][:, order], values[..., :2], rtol=1e-6)
    np.testing.assert_allclose(tracks.score[places][:, order], values[..., 2], rtol=1e-6)
    others = np.setdiff1d(np.arange(tracks.n_frames), places)
    assert np.isnan(tracks.position[others]).all() and (tracks.score[others] == 0).all()


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("format_name", ["csv", "parquet"])
def test_the_lines_of_our_own_files_may_stand_in_any_order(format_name: str, tmp_path: Path) -> None:
    values = points(5)
    track = PortableTrack(Tracks(values[..., :2], values[..., 2], np.arange(5) / FPS, NODES))
    path = tmp_path / f"a.{format_name}"
    write(format_name, path, track)
    if format_name == "csv":
        header, *lines = lines_of(path)
        path.write_text("\n".join([header, *sorted(lines, key=lambda line: line.split(",")[2])]) + "\n")
    else:
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(path).take([3, 1, 0, 4, 2]), path)
    np.testing.assert_array_equal(read(path).tracks.position, track.tracks.position)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines, lines[3]], "jaw of frame 1 more than once|nose of frame 1 more than once"),
        (lambda lines: [lines[0], *lines[3:]], "no line of frame 0, so its time is not known"),
        (lambda lines: [*lines[:2], lines[2].replace("jaw", "ear"), *lines[3:]], "points of ear"),
        (lambda lines: [*lines[:2], lines[2].replace("0,0,", "0,0.5,"), *lines[3:]], "frame 0 has two times"),
        (lambda lines: [*lines[:2], "-1" + lines[2][1:], *lines[3:]], "line 3: -1 is no number of a frame"),
    ],
)
def test_a_csv_of_ours_that_was_altered_is_refused(
    change: Callable[[list[str]], list[str]], said: str, tmp_path: Path
) -> None:
    values = points(3)
    write("csv", tmp_path / "a.csv", PortableTrack(Tracks(values[..., :2], values[..., 2], np.arange(3) / FPS, NODES)))
    (tmp_path / "a.csv").write_text("\n".join(change(lines_of(tmp_path / "a.csv"))) + "\n")
    with pytest.raises(ExportError, match=said):
        read(tmp_path / "a.csv")


# DeepLabCut's table


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("-1", r"line 5: '-1' is no number of a frame"),
        ("2.5", r"line 5: '2.5' is no number of a frame"),
        ("labeled-data/a/img01.png", r"line 5: 'labeled-data/a/img01.png' is no number"),
        ("", r"line 5: '' is no number"),
        (
            "1772445600000000000",
            r"'1772445600000000000' is no number of a frame; expected a whole number from 0",
        ),
        ("0", r"has frame 0 more than once"),
        ("nan", r"line 5: 'nan' is no number"),
    ],
)
def test_what_is_no_frame_number_is_refused_by_its_line(number: str, said: str, tmp_path: Path) -> None:
    write_deeplabcut_csv(tmp_path / "a.csv", [0, 1, 2], points(3))
    lines = lines_of(tmp_path / "a.csv")
    lines[4] = number + lines[4][1:]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ExportError, match=said):
        read(tmp_path / "a.csv", fps=FPS)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("scorer", "Scorer").replace("bodyparts", "BODYPARTS").replace("x,y", "X, Y"),
        lambda text: text.replace(",", ";").replace(".", ","),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
    ],
)
def test_how_a_program_writes_a_table_does_not_matter(change: Callable[[str], str], tmp_path: Path) -> None:
    values = points(3)
    write_deeplabcut_csv(tmp_path / "a.csv", [0, 1, 5], values)
    (tmp_path / "a.csv").write_text(change((tmp_path / "a.csv").read_text()), encoding="utf-8", newline="")
    tracks = read(tmp_path / "a.csv", fps=FPS).tracks
    np.testing.assert_array_equal(tracks.position[[0, 1, 5]], values[..., :2])


def test_columns_have_names_and_no_places(tmp_path: Path) -> None:
    values = points(3)
    table = deeplabcut_table([0, 1, 2], values)
    table["net", "nose", "x_ens_var"] = 7.0
    table["set", "", ""] = "train"  # as Lightning Pose adds it
    table[table.columns[[2, 7, 5, 0, 4, 6, 1, 3]]].to_csv(tmp_path / "a.csv")
    tracks = read(tmp_path / "a.csv", fps=FPS).tracks
    order = [tracks.node_index(node) for node in NODES]
    np.testing.assert_array_equal(tracks.position[:, order], values[..., :2])
    np.testing.assert_array_equal(tracks.score[:, order], values[..., 2])


def test_a_scorer_and_an_individual_are_keys(tmp_path: Path) -> None:
    both = np.concatenate([points(3), points(3, seed=1)], axis=1)
    deeplabcut_table([0, 1, 4], both, scorer=["old", "new"]).to_csv(tmp_path / "a.csv")
    with pytest.raises(ExportError, match=r"several networks \(old, new\); expected one.*--name"):
        read(tmp_path / "a.csv", fps=FPS)
    np.testing.assert_array_equal(read(tmp_path / "a.csv", fps=FPS, name="new").tracks.position[4], both[2, 2:, :2])
    with pytest.raises(ExportError, match=r"has no 'other'|several networks"):
        read(tmp_path / "a.csv", fps=FPS, name="other")
    deeplabcut_table([0, 1, 4], both, individuals=["m1", "m2"]).to_csv(tmp_path / "b.csv")
    with pytest.raises(ExportError, match=r"animals \(m1, m2\); expected one, but m1 and m2 are both there in frame 0"):
        read(tmp_path / "b.csv", fps=FPS)
    np.testing.assert_array_equal(read(tmp_path / "b.csv", fps=FPS, name="m1").tracks.position[1], both[1, :2, :2])
    broken = both.copy()
    broken[0, 2:], broken[1:, :2] = np.nan, np.nan
    deeplabcut_table([0, 1, 4], broken, individuals=["m1", "m2"]).to_csv(tmp_path / "c.csv")
    joined = read(tmp_path / "c.csv", fps=FPS).tracks
    np.testing.assert_array_equal(joined.position[[0, 1]], [both[0, :2, :2], both[1, 2:, :2]])
    assert joined.n_frames == 5 and not joined.found[2:4].any()


def test_a_table_without_a_likelihood_and_one_in_space_are_refused(tmp_path: Path) -> None:
    table = deeplabcut_table([0, 1, 2], points(3))
    table.drop(columns=[("net", "jaw", "likelihood")]).to_csv(tmp_path / "a.csv")
    with pytest.raises(ExportError, match="no column for likelihood of jaw"):
        read(tmp_path / "a.csv", fps=FPS)
    table.rename(columns={"likelihood": "z"}).to_csv(tmp_path / "b.csv")
    with pytest.raises(ExportError, match=r"positions in space \(x, y, z\)"):
        read(tmp_path / "b.csv", fps=FPS)


def test_a_file_of_two_tables_is_refused_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "sideDLC.h5"
    write_deeplabcut_hdf5(path, range(4), points(4))
    deeplabcut_table(range(4), points(4, seed=1)).to_hdf(path, key="df_filtered", format="table")
    with pytest.raises(ExportError, match=r"sideDLC\.h5 .*it holds 2 tables, df_with_missing, df_filtered; expected"):
        read(path, fps=FPS)
    pd.read_hdf(path, "df_filtered").to_hdf(tmp_path / "one.h5", key="df_with_missing")  # as the message says
    np.testing.assert_array_equal(read(tmp_path / "one.h5", fps=FPS).tracks.position, points(4, seed=1)[..., :2])


def test_a_file_of_the_name_in_the_current_folder_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    values = points(3)
    write_deeplabcut_hdf5(tmp_path / "a" / "foo.h5", [0, 1, 2], values)
    (tmp_path / "foo.h5").write_bytes(b"another file")
    for folder in (tmp_path, tmp_path / "a"):
        monkeypatch.chdir(folder)
        before = sorted(tmp_path.rglob("*"))
        for path in (tmp_path / "a" / "foo.h5", Path("foo.h5") if folder.name == "a" else Path("a/foo.h5")):
            np.testing.assert_array_equal(read(path, fps=FPS).tracks.position, values[..., :2])
        assert sorted(tmp_path.rglob("*")) == before
        assert (tmp_path / "foo.h5").read_bytes() == b"another file"


@pytest.mark.parametrize(
    ("program", "place"),
    [("deeplabcut csv", "line 9: "), ("deeplabcut hdf5", "row 5: "), ("slp", ""), ("sleap csv", "line [2-7]: ")],
)
def test_a_frame_number_far_from_the_others_is_refused_before_it_fills_the_memory(
    program: str, place: str, tmp_path: Path
) -> None:
    name, writer = WRITERS[program]
    path = tmp_path / name

    def written(frames: Sequence[int]) -> None:
        values = points(len(frames))
        if program == "slp":  # its length is not in the file
            labels_of(frames, values).save(str(path), verbose=False)
        else:
            writer(path, frames, values)

    written([0, 1, 2, 3, 4, 50_000_000])
    said = rf"{place}frame 50000000 after frame 4, but the file has 6 rows and no rows for 49999995 frames between"
    with pytest.raises(ExportError, match=rf"{said}.*expected at most 1000000.*Correct the number"):
        read(path, fps=FPS)
    path.unlink()
    written([50_000_000, 50_000_001])
    with pytest.raises(ExportError, match="frame 50000000, but the file has 2 rows and no rows for the 50000000"):
        read(path, fps=FPS)
    path.unlink()
    written([500, 501, 300_500])  # a hole of 50 minutes
    assert read(path, fps=FPS).tracks.n_frames == 300_501


def test_a_hole_may_be_long_where_there_are_many_rows() -> None:
    frames = np.concatenate([np.arange(20_000), np.arange(20_000) + 1_900_000])
    rows = {"score": np.ones(len(frames), np.float32)}
    assert rows_by_frame(Path("a.csv"), frames, rows)["score"].shape == (1_920_000,)
    with pytest.raises(ExportError, match=r"a.csv: frame 1900000 after frame 19"):
        rows_by_frame(Path("a.csv"), np.delete(frames, slice(20, 20_000))[:30], {"score": np.ones(30, np.float32)})
    one = rows_by_frame(Path("a.csv"), np.array([0, 2_000_000]), {"score": np.ones(2)}, n_frames=2_000_001)
    assert one["score"].sum() == 2  # the length of the video is known


@pytest.mark.parametrize("program", WRITERS)
def test_a_point_of_a_network_without_a_score_is_never_a_persons(program: str, tmp_path: Path) -> None:
    name, writer = WRITERS[program]
    values = points(4)
    values[1, 0, 2] = np.nan  # there, but without a score
    values[2, 1] = np.nan  # not there
    writer(tmp_path / name, [0, 1, 2, 3], values)
    track = read(tmp_path / name, fps=None if program == "nwb" else FPS)
    nose, jaw = track.tracks.node_index("nose"), track.tracks.node_index("jaw")
    assert not np.isnan(track.tracks.score).any()
    assert track.tracks.score[1, nose] == 0 and track.tracks.score[2, jaw] == 0
    np.testing.assert_allclose(track.tracks.position[1, nose], values[1, 0, :2], rtol=1e-6)
    assert sum("1 point of a network without a score" in one for one in track.assumptions) == 1


@pytest.mark.parametrize("ending", [".dlc.csv", ".dlc.h5"])
def test_a_persons_point_in_a_table_of_ours_stays_one_without_what_is_beside(ending: str, tmp_path: Path) -> None:
    values = points(3)
    values[1, 0, 2] = np.nan
    path = tmp_path / f"a{ending}"
    write(format_for(path), path, PortableTrack(Tracks(values[..., :2], values[..., 2], np.arange(3) / FPS, NODES)))
    path.with_name(f"{path.name}.json").unlink(missing_ok=True)
    track = read(path, fps=FPS)
    assert np.isnan(track.tracks.score[1, 0]) and not track.assumptions


@pytest.mark.parametrize("program", list(WRITERS))
@pytest.mark.parametrize(
    ("worst", "said"),
    [
        (95, "is 95, expected 0 to 1 .*per cent"),
        (-3, "is -3, expected 0 to 1 .*logarithms"),
        (np.inf, "is inf, expected"),
    ],
)
def test_scores_of_another_scale_are_refused_whichever_program_wrote_them(
    program: str, worst: float, said: str, tmp_path: Path
) -> None:
    name, writer = WRITERS[program]
    values = points(3)
    values[1, 1, 2], values[2, 0, 2] = worst, worst / 2
    writer(tmp_path / name, [0, 1, 2], values)
    with pytest.raises(ExportError, match=rf"{re.escape(str(tmp_path / name))}: the score of jaw in frame 1 {said}"):
        read(tmp_path / name, fps=FPS)
    values[..., 2] = [[1.1, 0.9], [-0.001, 1.9], [0.5, 0.5]]  # peaks of SLEAP's
    writer(tmp_path / name, [0, 1, 2], values)
    np.testing.assert_allclose(read(tmp_path / name, fps=FPS).tracks.score.max(), 1.9, rtol=1e-6)


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_scores_of_another_scale_are_refused_in_files_of_ours_too(format_name: str, tmp_path: Path) -> None:
    values = points(3)
    values[1, 1, 2] = 90
    path = tmp_path / f"a{FORMATS[format_name].ending}"
    write(format_name, path, PortableTrack(Tracks(values[..., :2], values[..., 2], np.arange(3) / FPS, NODES)))
    with pytest.raises(ExportError, match="the score of jaw in frame 1 is 90, expected 0 to 1"):
        read(path, fps=FPS)


# SLEAP


def test_a_persons_point_is_never_dropped_for_a_prediction(tmp_path: Path) -> None:
    labels = labels_of([0, 1, 2], points(3), n_frames=4)
    person = sio.Instance.from_numpy(np.array([[1.0, 2], [np.nan, np.nan]]), skeleton=labels.skeleton)
    labels.append(sio.LabeledFrame(video=labels.video, frame_idx=1, instances=[person]))  # SLEAP merges so, too
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    sio.save_csv(labels, str(tmp_path / "b.csv"), format="sleap")
    for name in ("a.slp", "b.csv"):
        tracks = read(tmp_path / name, fps=FPS).tracks
        nose, jaw = tracks.node_index("nose"), tracks.node_index("jaw")
        np.testing.assert_array_equal(tracks.position[1, nose], [1, 2])
        assert np.isnan(tracks.score[1, nose]) and not tracks.found[1, jaw], name
        assert tracks.found[[0, 2]].all()


def test_two_animals_in_a_frame_are_refused_and_one_can_be_chosen(tmp_path: Path) -> None:
    labels = labels_of([0, 1], points(2), n_frames=3)
    tracks = [sio.Track("a"), sio.Track("b")]
    labels.tracks = tracks
    for frame in labels:
        frame.instances[0].track = tracks[0]
    labels[1].instances.append(predicted(labels.skeleton, points(1, seed=5)[0], tracks[1]))
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    sio.save_analysis_h5(labels, str(tmp_path / "a.analysis.h5"))
    sio.save_csv(labels, str(tmp_path / "a.csv"), format="sleap")
    for name in ("a.slp", "a.analysis.h5", "a.csv"):
        with pytest.raises(ExportError, match=r"several animals \(a, b\).*a and b are both there in frame 1.*--name"):
            read(tmp_path / name, fps=FPS)
        chosen = read(tmp_path / name, fps=FPS, name="b").tracks
        nose = chosen.node_index("nose")
        np.testing.assert_allclose(chosen.position[1, nose], points(1, seed=5)[0, 0, :2], rtol=1e-6)
        assert not chosen.found[0].any()
        with pytest.raises(ExportError, match=r"has no 'c'; its (tracks|animals) are a, b"):
            read(tmp_path / name, fps=FPS, name="c")


def test_two_instances_without_a_track_in_a_frame_are_refused_by_what_they_are(tmp_path: Path) -> None:
    labels = labels_of([0, 1], points(2), n_frames=3)
    labels[1].instances.append(predicted(labels.skeleton, points(1, seed=5)[0]))
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    sio.save_csv(labels, str(tmp_path / "a.csv"), format="sleap")
    for name in ("a.slp", "a.csv"):
        with pytest.raises(
            ExportError, match=r"frame 1 more than once: 2 instances of no track are there; expected one animal.*--name"
        ):
            read(tmp_path / name, fps=FPS)


def test_the_video_of_a_slp_says_how_many_frames_there_are_and_can_be_chosen(tmp_path: Path) -> None:
    labels = labels_of([0, 5], points(2), n_frames=4)
    labels.save(str(tmp_path / "beyond.slp"), verbose=False)
    with pytest.raises(ExportError, match="has frame 5, expected frame 0 to frame 3"):
        read(tmp_path / "beyond.slp", fps=FPS)
    labels_of([0, 2], points(2)).save(str(tmp_path / "unknown.slp"), verbose=False)
    track = read(tmp_path / "unknown.slp", fps=FPS)
    assert track.tracks.n_frames == 3 and "length is not in the file" in track.assumptions[0]
    one, other = labels_of([0], points(1), n_frames=2), labels_of([1], points(1, seed=1), n_frames=3)
    other.video.filename = "/raw/mouse01/lower.mp4"
    for frame in other:
        frame.instances[0].skeleton = one.skeleton
    sio.Labels([*one, *other], skeletons=[one.skeleton]).save(str(tmp_path / "two.slp"), verbose=False)
    with pytest.raises(ExportError, match=r"several videos \(side.mp4, lower.mp4\)"):
        read(tmp_path / "two.slp", fps=FPS)
    lower = read(tmp_path / "two.slp", fps=FPS, name="lower.mp4").tracks
    assert lower.found.any(axis=1).tolist() == [False, True, False]


def test_a_frame_rate_that_contradicts_the_files_is_refused(tmp_path: Path) -> None:
    labels = labels_of([0, 1], points(2), n_frames=2)
    labels.video.backend_metadata["fps"] = 50.0
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    assert read(tmp_path / "a.slp").tracks.fps == pytest.approx(50)
    with pytest.raises(ExportError, match="names 50 frames a second, 100 were given"):
        read(tmp_path / "a.slp", fps=100)
    assert read(tmp_path / "a.slp", fps=49.9).tracks.fps == pytest.approx(50)


def rewritten(path: Path, change: Callable[[h5py.File], None]) -> Path:
    write_analysis(path, [0, 1, 3], points(3))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def in_order_of_matlab(file: h5py.File) -> None:
    """As MATLAB writes the arrays that it read: all axes the other way round, and no names of them."""
    standard = {"tracks": (1, 3, 2, 0), "point_scores": (1, 2, 0), "track_occupancy": (0, 1)}
    for name, axes in standard.items():
        values = file[name][:].transpose(axes).T
        del file[name]
        file[name] = values
    del file.attrs["preset"]


def test_the_axes_of_an_analysis_file_are_found_out(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "a.analysis.h5", in_order_of_matlab)
    np.testing.assert_array_equal(read(path, fps=FPS).tracks.position[[0, 1, 3]], points(3)[..., :2])

    def cut(file: h5py.File) -> None:
        values = file["tracks"][:]
        del file["tracks"]
        file["tracks"] = values[:, :, :1]

    with pytest.raises(ExportError, match=r"tracks has the shape \(4, 1, 1, 2\), which does not fit"):
        read(rewritten(tmp_path / "b.analysis.h5", cut), fps=FPS)


def test_an_analysis_file_without_scores_or_with_frames_left_out(tmp_path: Path) -> None:
    def unscored(file: h5py.File) -> None:
        del file["point_scores"]

    track = read(rewritten(tmp_path / "a.analysis.h5", unscored), fps=FPS)
    assert track.tracks.score[[0, 1, 3]].tolist() == [[1, 1]] * 3 and track.tracks.score[2].tolist() == [0, 0]
    assert "no scores" in track.assumptions[0]
    labels = labels_of([2, 3], points(2), n_frames=6)
    sio.save_analysis_h5(labels, str(tmp_path / "b.analysis.h5"), all_frames=False)
    with pytest.raises(ExportError, match="holds 4 frames, its video has 6, and it does not say which"):
        read(tmp_path / "b.analysis.h5", fps=FPS)


# NWB


@pytest.mark.parametrize("n_jaw", [20, 5])
def test_series_of_nwb_that_lie_between_the_frames_of_another_are_refused(n_jaw: int, tmp_path: Path) -> None:
    values = points(20)
    nose, jaw = (series_of(range(n), values[:n], node) for node, n in ((0, 20), (1, n_jaw)))
    jaw["timestamps"] = np.arange(n_jaw) * (20 // n_jaw) / FPS + 0.003
    pose_file(tmp_path / "a.nwb", [("behavior", "pose", {"nose": nose, "jaw": jaw})])
    with pytest.raises(
        ExportError, match=r"a\.nwb: the times of jaw lie between those of nose, 3 ms off, .* 10 ms apart"
    ):
        read(tmp_path / "a.nwb")


def test_times_of_nwb_in_milliseconds_are_refused_and_single_frames_may_lie_far_apart(tmp_path: Path) -> None:
    values = points(6)
    for name, times in (("ms", np.arange(6) * 10.0), ("labels", np.array([0, 30, 31, 500, 610, 640]) / 1.0)):
        series = {node: series_of(range(6), values, index, timestamps=times) for index, node in enumerate(NODES)}
        pose_file(tmp_path / f"{name}.nwb", [("behavior", "pose", series)])
    np.testing.assert_array_equal(read(tmp_path / "labels.nwb").tracks.time, times)
    with pytest.raises(ExportError, match=r"the frames of pose are 10 s apart, .* look like milliseconds"):
        read(tmp_path / "ms.nwb")


def test_series_of_nwb_are_matched_by_name_and_time(tmp_path: Path) -> None:
    values = points(4)
    nose = series_of([3, 0, 1, 2], values, 0, name="PoseEstimationSeriesNose")  # as NeuroConv names it
    jaw = {"data": values[:3, 1, :2] / 2, "confidence": values[:3, 1, 2], "rate": 100.0, "starting_time": 0.01}
    pose_file(tmp_path / "a.nwb", [("behavior", "pose", {"nose": nose, "jaw": {**jaw, "conversion": 2.0}})])
    tracks = read(tmp_path / "a.nwb").tracks
    np.testing.assert_allclose(tracks.time, [0, 0.01, 0.02, 0.03], atol=1e-9)
    np.testing.assert_array_equal(tracks.position[[3, 0, 1, 2], 0], values[:, 0, :2])
    np.testing.assert_allclose(tracks.position[1:, 1], values[:3, 1, :2], rtol=1e-6)
    assert not tracks.found[0, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "meters"}, "nose of pose is in meters; expected pixels"),
        ({"timestamps": np.array([0, 0.01, 0.01])}, "nose has the time 0.01 s more than once"),
        ({"timestamps": np.array([0, np.nan, 0.02])}, "row 1 of nose has the time nan"),
        ({"data": np.zeros((3, 3))}, r"nose of pose has the shape \(3, 3\)"),
        ({"confidence": np.zeros(2)}, "3 points, 2 confidences"),
        ({"name": "tail"}, "series of no node of its skeleton: tail; the nodes are nose, jaw"),
    ],
)
def test_a_series_of_nwb_that_contradicts_itself_is_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    frames, values = [0, 1, 2], points(3)
    series = {"nose": series_of(frames, values, 0, **options), "jaw": series_of(frames, values, 1)}
    pose_file(tmp_path / "a.nwb", [("behavior", "pose", series)])
    with pytest.raises(ExportError, match=said):
        read(tmp_path / "a.nwb")


def test_poses_of_two_cameras_that_have_one_name_are_told_apart(tmp_path: Path) -> None:
    made = [
        (f"camera_{index}", "pose", {node: series_of([0, 1], points(2, index), n) for n, node in enumerate(NODES)})
        for index in range(2)
    ]
    pose_file(tmp_path / "a.nwb", made)
    with pytest.raises(ExportError, match=r"several poses \(camera_0/pose, camera_1/pose\).*--name"):
        read(tmp_path / "a.nwb")
    assert set(nwb_format.read_all_nwb(tmp_path / "a.nwb")) == {"camera_0/pose", "camera_1/pose"}
    np.testing.assert_array_equal(read(tmp_path / "a.nwb", name="camera_1/pose").tracks.position, points(2, 1)[..., :2])


def test_tracks_of_one_video_in_nwb_are_joined_where_they_never_overlap(tmp_path: Path) -> None:
    values = points(6)

    def file(name: str, frames: Sequence[Sequence[int]]) -> Path:
        tracks = [{node: series_of(part, values[list(part)], n) for n, node in enumerate(NODES)} for part in frames]
        named = [("SLEAP_VIDEO_000_side", f"track={index}", one) for index, one in enumerate(tracks)]
        pose_file(tmp_path / name, named)
        return tmp_path / name

    tracks = read(file("broken.nwb", [[0, 1, 2], [3, 4, 5]])).tracks
    np.testing.assert_array_equal(tracks.position, values[..., :2])
    np.testing.assert_allclose(tracks.time, np.arange(6) / FPS)
    two = file("two.nwb", [[0, 1, 2], [2, 3]])
    with pytest.raises(ExportError, match=r"track=0 and track=1 are both there in frame 2.*--name"):
        read(two)
    assert read(two, name="track=1").tracks.n_frames == 2


# A part of a video


@pytest.mark.parametrize(
    "ending", [".csv", ".dlc.csv", ".dlc.h5", ".slp", ".sleap.csv", ".analysis.h5", ".nwb", ".parquet"]
)
def test_a_part_of_a_video_keeps_its_frame_numbers_and_times(ending: str, tmp_path: Path) -> None:
    values, time = points(20), np.arange(20) / FPS
    tracks = Tracks(values[..., :2], values[..., 2], time, NODES).part(7, 12)
    provenance = {"video": {"n_frames": 20, "fps": "100/1"}, "time_span_s": [0.07, 0.12]}
    track = PortableTrack(tracks, video_file="side.mp4", size_px=(64, 48), provenance=provenance, first_frame=7)
    path = tmp_path / f"a{ending}"
    write(format_for(path), path, track)
    again = read(path)
    np.testing.assert_allclose(again.tracks.time, time[7:12], rtol=1e-12)
    np.testing.assert_allclose(again.tracks.position, values[7:12, :, :2], rtol=1e-6)
    assert again.first_frame == 7
    if ending == ".slp":
        assert [frame.frame_idx for frame in sio.load_slp(str(path), open_videos=False)] == list(range(7, 12))
    if ending == ".dlc.csv":
        assert pd.read_csv(path, header=[0, 1, 2], index_col=0).index.tolist() == list(range(7, 12))
    if ending == ".analysis.h5":
        with h5py.File(path) as file:
            assert file["track_occupancy"][:, 0].tolist() == [0] * 7 + [1] * 5
    if ending == ".nwb":
        with h5py.File(path) as file:
            video = file["acquisition/video_camera"]
            assert (video["starting_time"][()], video["num_samples"][()]) == (pytest.approx(0), 20)


def test_json_never_holds_what_is_no_json(tmp_path: Path) -> None:
    values = points(2)
    tracks = Tracks(values[..., :2], values[..., 2], [0, 0.01], NODES, attributes={"noise_px": float("-inf")})
    for format_name in ("csv", "dlc-csv", "sleap-csv"):
        path = tmp_path / f"a{FORMATS[format_name].ending}"
        write(format_name, path, PortableTrack(tracks, provenance={"rate_hz": float("nan")}))
        said = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert said["attributes"]["noise_px"] is None and said["provenance"]["rate_hz"] is None
