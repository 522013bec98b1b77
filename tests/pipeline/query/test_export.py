"""From the database to files: NWB that its inspector accepts and others read, names, provenance in every file."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.dataset as pa_dataset
import pytest
import sleap_io as sio

from compute.errors import TracksError
from compute.filters import registered_filters
from compute.formats import FORMATS, ExportError, read
from compute.simulated_mouse.anatomy import EDGES, NODES

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def nwb_folder(small_lab: Any, orofacial: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three sessions as NWB, beside the raw folder."""
    folder = tmp_path_factory.mktemp("nwb")
    done = orofacial("export", "nwb", "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["written"]) == 3
    return folder


def export_rows(*arguments: Any, **options: Any) -> Any:
    from pipeline.query.export import export_rows

    return export_rows(*arguments, **options)


def rows_of(filter_method: str, **question: Any) -> list[dict[str, Any]]:
    from pipeline import query

    return query.tracks(filter=filter_method, **question).rows


@pytest.mark.slow
def test_nwbinspector_finds_no_violation(nwb_folder: Path) -> None:
    from nwbinspector import Importance, inspect_all

    found = [message for message in inspect_all(path=nwb_folder) if message.importance is not None]
    serious = {Importance.CRITICAL, Importance.BEST_PRACTICE_VIOLATION, Importance.ERROR, Importance.PYNWB_VALIDATION}
    assert not [(one.check_function_name, one.message, one.location) for one in found if one.importance in serious]


def test_pynwb_reads_sessions_subjects_videos_and_poses(small_lab: Any, nwb_folder: Path) -> None:
    import pynwb

    with pynwb.NWBHDF5IO(nwb_folder / "sub-mouse01_ses-2026-03-02-1.nwb", "r") as io:
        file = io.read()
        assert (file.subject.subject_id, file.subject.sex, file.subject.species) == ("mouse01", "F", "Mus musculus")
        assert (file.subject.age, file.subject.genotype) == ("P60D", "wild type")
        assert file.session_start_time.strftime("%Y-%m-%d %H:%M") == "2026-03-02 10:30"
        assert file.experimenter == ("Doe, Jane",)
        assert set(file.acquisition) == {"video_side", "video_lower"}
        video = file.acquisition["video_side"]
        assert (
            (nwb_folder / video.external_file[0])
            .resolve()
            .samefile(small_lab.raw_folder / "mouse01" / "2026-03-02_1" / "side.mp4")
        )
        poses = file.processing["SLEAP_VIDEO_000_lower"].data_interfaces
        assert set(poses) == {"lower_raw"}
        filtered = {name for name in file.processing["behavior"].data_interfaces if name.startswith("side_")}
        assert {"side_kalman", "side_median", "side_gaussian"} <= filtered
        pose = file.processing["behavior"]["side_kalman"]
        assert tuple(pose.skeleton.nodes[:]) == NODES
        assert {(NODES[a], NODES[b]) for a, b in pose.skeleton.edges[:]} == set(EDGES)
        assert pose.source_video is video
    with pynwb.NWBHDF5IO(nwb_folder / "sub-mouse03_ses-2026-03-02-1.nwb", "r") as io:
        file = io.read()
        assert (file.subject.sex, file.subject.age) == ("U", "P0D/")
        assert "time of day is not known" in file.session_description


def test_the_cameras_own_times_come_back_exactly(small_lab: Any, nwb_folder: Path) -> None:
    from compute.formats import nwb
    from schemas.track import FilteredTrack, fetch_tracks

    found = nwb.read_all_nwb(nwb_folder / "sub-mouse01_ses-2026-03-02-1.nwb")
    assert set(found) == {f"{camera}_{name}" for camera in ("side", "lower") for name in METHODS}
    for method in METHODS:
        for row in rows_of(method, mouse="mouse01"):
            expected = fetch_tracks({name: row[name] for name in FilteredTrack.primary_key})
            tracks = found[f"{row['camera']}_{method}"].tracks
            np.testing.assert_array_equal(tracks.position, expected.position)
            np.testing.assert_array_equal(tracks.score, expected.score)
            np.testing.assert_array_equal(tracks.sd, expected.sd)
            if row["camera"] == "side":  # irregular
                np.testing.assert_array_equal(tracks.time, expected.time)
            else:
                np.testing.assert_allclose(tracks.time, expected.time, rtol=0, atol=1e-12)


METHODS = sorted(method for one in registered_filters().values() for method in one.methods)
"""What every lab filters its videos with."""


def test_sleap_opens_the_nwb_file(nwb_folder: Path) -> None:
    from schemas.track import FilteredTrack, fetch_tracks

    labels = sio.load_nwb(str(nwb_folder / "sub-mouse02_ses-2026-03-02-1.nwb"))
    assert len(labels.videos) == 2
    assert set(labels.skeleton.node_names) == set(NODES)
    row = rows_of("raw", mouse="mouse02", camera="side")[0]
    expected = fetch_tracks({name: row[name] for name in FilteredTrack.primary_key})
    (video,) = [video for video in labels.videos if "side" in Path(video.filename).name]
    frames = sorted((frame for frame in labels if frame.video is video), key=lambda frame: frame.frame_idx)
    order = [labels.skeleton.node_names.index(node) for node in NODES]
    found = np.stack([frame.instances[0].numpy()[order] for frame in frames])
    # sleap-io leaves out frames without any point.
    np.testing.assert_allclose(found, expected.position[expected.found.any(axis=1)], atol=1e-4)


@pytest.mark.parametrize("format_name", [name for name, one in FORMATS.items() if not one.a_session])
def test_every_file_comes_back_with_what_made_it(small_lab: Any, format_name: str, tmp_path: Path) -> None:
    from pipeline.query.export import export_track

    rows = rows_of("kalman", mouse="mouse01") + rows_of("raw", mouse="mouse01")
    done = export_rows(format_name, rows, tmp_path)
    assert len(done.written) == len(rows) == 4
    assert not done.kept
    for path in done.written:
        (row,) = [row for row in rows if f"_{row['camera']}_{row['filter_method']}_" in path.name]
        found, expected = read(path), export_track(row)
        np.testing.assert_allclose(found.tracks.position, expected.tracks.position, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(found.tracks.score, expected.tracks.score)
        np.testing.assert_array_equal(found.tracks.time, expected.tracks.time)
        assert found.provenance == expected.provenance
        assert found.provenance["video"]["content_hash"]
        assert found.provenance["filter"]["provenance"]["code_version"]
        assert found.edges == EDGES or not expected.edges
        assert np.isnan(found.tracks.score).any()  # the point by a person
    again = export_rows(format_name, rows, tmp_path)
    assert (again.written, len(again.kept)) == ([], 4)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_a_file_with_other_nodes_is_not_taken_for_the_one_asked_for(
    small_lab: Any, format_name: str, tmp_path: Path
) -> None:
    rows = rows_of("raw", mouse="mouse02", camera="side")
    (path,) = export_rows(format_name, rows, tmp_path).written
    before = path.read_bytes()
    for nodes in (None, NODES, NODES[::-1]):
        assert export_rows(format_name, rows, tmp_path, nodes=nodes).kept == [path]
    with pytest.raises(ExportError, match=r"holds .*left_snout_tip.*asked for is jaw_tip\. Nothing was written"):
        export_rows(format_name, rows + rows_of("raw", mouse="mouse01"), tmp_path, nodes=("jaw_tip",))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*mouse01*"))
    export_rows(format_name, rows, tmp_path, nodes=("jaw_tip",), overwrite=True)
    assert read(path).tracks.nodes == ("jaw_tip",)
    with pytest.raises(ExportError, match=r"asked for is .*left_snout_tip"):
        export_rows(format_name, rows, tmp_path)


def test_an_nwb_file_with_other_filters_is_not_taken_for_the_one_asked_for(small_lab: Any, tmp_path: Path) -> None:
    raw, kalman = (rows_of(name, mouse="mouse02", camera="side") for name in ("raw", "kalman"))
    export_rows("nwb", raw, tmp_path)
    with pytest.raises(ExportError, match="kalman it holds none of it"):
        export_rows("nwb", raw + kalman, tmp_path)


def test_a_file_that_another_program_saved_is_kept_with_a_word(small_lab: Any, orofacial: Run, tmp_path: Path) -> None:
    rows = rows_of("raw", mouse="mouse02", camera="side")
    (path,) = export_rows("slp", rows, tmp_path).written
    sio.load_slp(str(path), open_videos=False).save(str(path), verbose=False)
    again = export_rows("slp", rows, tmp_path, nodes=("jaw_tip",))
    assert (again.kept, again.not_compared) == ([path], [path])
    done = orofacial("export", "slp", "-o", tmp_path, "--mouse", "mouse02", "--camera", "side")
    assert done.returncode == 0 and f"{path} was kept, but does not say what it holds" in " ".join(done.stderr.split())


@pytest.mark.parametrize("format_name", list(FORMATS))
def test_a_file_older_than_the_database_is_not_taken_for_a_new_one(
    small_lab: Any, format_name: str, tmp_path: Path
) -> None:
    """The mouse was corrected, or its tracks were computed anew, since the file was written."""
    from schemas.subject import Mouse
    from schemas.track import FilteredTrack

    rows = rows_of("raw", mouse="mouse02", camera="side")
    key = {name: rows[0][name] for name in FilteredTrack.primary_key}
    (path,) = export_rows(format_name, rows, tmp_path).written
    before = path.read_bytes()
    made = (FilteredTrack & key).fetch1("filter_provenance")
    changes: list[tuple[Any, dict[str, Any], dict[str, Any], str]] = [
        (Mouse, {"mouse_id": "mouse02", "sex": "female"}, {"mouse_id": "mouse02", "sex": "male"}, "mouse sex male"),
        (
            FilteredTrack,
            {**key, "filter_provenance": {**made, "started_at": "2030-01-01T00:00:00.000+00:00"}},
            {**key, "filter_provenance": made},
            f"filter provenance started_at {made['started_at']}",
        ),
    ]
    for table, changed, unchanged, said in changes:
        table.update1(changed)
        try:
            with pytest.raises(ExportError, match=re.escape(f"raw it says {said}; the database now ")):
                export_rows(format_name, rows, tmp_path)
            assert path.read_bytes() == before
        finally:
            table.update1(unchanged)
    assert export_rows(format_name, rows, tmp_path).kept == [path]


def test_a_broken_track_is_named_or_left_out(small_lab: Any, orofacial: Run, tmp_path: Path) -> None:
    from pipeline import query

    selection = query.tracks(filter="median", camera="side")
    gone, damaged = (Path(file) for file in selection.files()[:2])
    content = damaged.read_bytes()
    gone.rename(gone.with_suffix(".away"))
    damaged.write_bytes(content[:100] + bytes(len(content) // 2) + content[100 + len(content) // 2 :])
    try:
        words = ("export", "csv", "--filter", "median", "--camera", "side", "-o", tmp_path)
        refused = orofacial(*words)
        assert refused.returncode == 1
        assert "mouse01/2026-03-02_1 side, model" in refused.stderr
        assert "--skip-broken" in refused.stderr
        assert "mouse01/2026-03-02_1 side" in orofacial("why", "mouse01/2026-03-02_1", "--filter", "median").stderr
        done = orofacial(*words, "--skip-broken")
        assert done.returncode == 0, done.stderr
        assert "1 file written" in done.stdout
        for mouse in ("mouse01", "mouse02"):
            assert done.stderr.count(f"left out {mouse}/2026-03-02_1 side") == 1
            assert done.stderr.count(f"{mouse}/2026-03-02_1 side") == 1
        said = json.loads(orofacial(*words, "--skip-broken", "--overwrite", "--json").stdout)
        assert (len(said["written"]), said["n_tracks"], len(said["left_out"])) == (1, 1, 2)
        nothing = orofacial(*words, "--skip-broken", "--mouse", "mouse01")
        assert nothing.returncode == 1
        assert "none of the tracks can be read: mouse01/2026-03-02_1 side" in nothing.stderr
    finally:
        gone.with_suffix(".away").rename(gone)
        damaged.write_bytes(content)
    assert [path.name[:7] for path in tmp_path.glob("*.csv")] == ["mouse03"]


def test_a_folder_of_parquet_is_one_table(small_lab: Any, orofacial: Run, tmp_path: Path) -> None:
    done = orofacial("export", "parquet", "-o", tmp_path, "--node", "jaw_tip", "--filter", "median", "--held-out")
    assert done.returncode == 0, done.stderr
    files = [str(path) for path in tmp_path.glob("*.parquet")]
    table = pa_dataset.dataset(files).to_table()
    assert set(table["mouse_id"].unique().to_pylist()) == {"mouse03"}
    assert set(table["camera"].unique().to_pylist()) == {"side", "lower"}
    assert {name for name in table.column_names if name.endswith("_x")} == {"jaw_tip_x"}
    assert "| `<node>_x` | px |" in (tmp_path / "README.md").read_text()


def test_names_of_files_are_safe_and_different() -> None:
    from pipeline.query.export import export_file_name

    row = {
        "session_date": "2026-03-02",
        "session_number": 1,
        "camera": "side",
        "filter_method": "raw",
        "model_id": "0" * 16,
    }
    names = [
        export_file_name(name, {**row, "mouse_id": mouse})
        for name in ("slp", "nwb")
        for mouse in ("a b", "a/b", "a-b", '"; drop table', "../up", "größe", "a_b")
    ]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and "/" not in name and not name.startswith(".") for name in names)


@pytest.mark.slow
def test_the_command_says_what_it_did_and_converts(small_lab: Any, orofacial: Run, tmp_path: Path) -> None:
    selection = ("--session", "mouse02/2026-03-02_1", "--camera", "lower")
    done = orofacial("export", "slp", "-o", tmp_path, *selection)
    assert done.returncode == 0, done.stderr
    assert "1 file written" in done.stdout
    (path,) = tmp_path.glob("*.slp")
    again = orofacial("export", "slp", "-o", tmp_path, *selection)
    assert "1 was there already" in again.stdout
    assert orofacial("convert", path, tmp_path / "a.dlc.h5").returncode == 0
    assert "exists already" in orofacial("convert", path, tmp_path / "a.dlc.h5").stderr
    converted = orofacial("convert", tmp_path / "a.dlc.h5", tmp_path / "b.nwb", "--json")
    assert json.loads(converted.stdout)["provenance"]["mouse"]["mouse_id"] == "mouse02"
    timed = orofacial("convert", path, tmp_path / "c.csv", "--fps", 30)
    assert timed.returncode == 0
    assert "--fps 30 was not used" in timed.stderr
    assert json.loads(orofacial("convert", path, tmp_path / "d.csv", "--fps", 30, "--json").stdout)["fps_used"] is False
    for words, said in [
        (("export", "slp", "-o", tmp_path, "--mouse", "mouse09"), "no mouse_id 'mouse09'"),
        (("export", "slp", "-o", tmp_path, "--where", "sex='unknown' and genotype='x'"), "no tracks fit"),
        (("convert", tmp_path / "none.slp", tmp_path / "c.nwb"), "does not exist"),
        (("convert", path, tmp_path / "c.txt"), "--to"),
    ]:
        result = orofacial(*words)
        assert result.returncode == 1, words
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_export_takes_every_option_that_says_which_tracks() -> None:
    from pipeline.cli.export_commands import export
    from pipeline.cli.query_commands import sql, tracks
    from pipeline.cli.question_options import question_options

    def options(command: Any) -> dict[str, Any]:
        return {one.name: one for one in command.params if isinstance(one, click.Option)}

    shared = options(click.command()(question_options(lambda **_: None)))
    assert {"mouse", "session", "sex", "genotype", "quality", "date", "from_s", "held_out", "where"} <= set(shared)
    for command in (tracks, sql, export):
        for name, option in shared.items():
            found = options(command)[name]
            assert (found.opts, found.secondary_opts, found.multiple) == (
                option.opts,
                option.secondary_opts,
                option.multiple,
            )
    beside = {"output", "as_manifest", "as_json", "calibrated"}
    assert set(options(tracks)) - set(shared) <= beside  # nothing else says which tracks


def test_what_tracks_lists_export_writes(small_lab: Any, orofacial: Run, tmp_path: Path) -> None:
    chosen = ("--sex", "male", "--sex", "female", "--session", "mouse02/2026-03-02_1", "--date", "2026-03-02")
    chosen += ("--from", "0.5", "--to", "1", "--node", "jaw_tip", "--node", "jaw_tip", "--camera", "side")
    listed = json.loads(orofacial("tracks", *chosen, "--json").stdout)["tracks"]
    done = orofacial("export", "csv", "-o", tmp_path, *chosen)
    assert done.returncode == 0, done.stderr
    assert [(one["mouse_id"], one["camera"]) for one in listed] == [("mouse02", "side")]
    (path,) = tmp_path.glob("*.csv")
    part = read(path)
    assert (part.tracks.nodes, part.tracks.n_frames, part.first_frame) == (("jaw_tip",), 50, 50)
    np.testing.assert_allclose(part.tracks.time, np.arange(50, 100) / 100)
    (row,) = rows_of("raw", mouse="mouse02", camera="side")
    from pipeline.query.export import export_track

    whole = export_track(row, ("jaw_tip",))
    np.testing.assert_array_equal(part.tracks.position, whole.tracks.position[50:100])
    longer = ["2" if before == "--to" else word for before, word in zip(("", *chosen), chosen, strict=False)]
    other = orofacial("export", "csv", "-o", tmp_path, *longer)
    assert other.returncode == 1
    assert "it holds frames from 0.5 s on and before 1 s, jaw_tip; asked for is" in other.stderr
    nothing = orofacial("export", "csv", "-o", tmp_path / "none", "--from", "100", "--mouse", "mouse02")
    assert nothing.returncode == 1 and "no frame" in nothing.stderr
    assert not list((tmp_path / "none").glob("*.csv"))


def test_nodes_that_are_named_twice_count_once_and_unknown_ones_are_refused(small_lab: Any, tmp_path: Path) -> None:
    rows = rows_of("raw", mouse="mouse02", camera="side")
    (path,) = export_rows("parquet", rows, tmp_path, nodes=("jaw_tip", "jaw_tip"), skip_broken=True).written
    assert read(path).tracks.nodes == ("jaw_tip",)
    with pytest.raises(TracksError, match="no node 'nose9'"):
        export_rows("parquet", rows, tmp_path / "other", nodes=("nose9",), skip_broken=True)


def test_nwb_says_what_is_known_of_the_mouse_and_no_more(nwb_folder: Path) -> None:
    import h5py

    for path in nwb_folder.glob("*.nwb"):
        with h5py.File(path) as file:
            assert "description" not in file["general/subject"]
            texts = [file["session_description"][()].decode()]
            texts += [str(one.attrs.get("description")) for one in file["general/devices"].values()]
        assert not any("head-fixed" in text.lower() for text in texts), texts
