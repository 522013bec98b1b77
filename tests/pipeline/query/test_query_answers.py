"""Answers have the same columns whatever was found; what is refused or broken is said in the words of the question."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pyarrow.parquet as pq
import pytest

from compute.errors import OrofacialError
from compute.files import whole_file
from compute.tracks import Tracks
from pipeline.settings import Settings
from pipeline.terminal import print_answer, print_table

MICE = ("anna", "bert", "cora")
NODES = ("jaw_tip", "tongue")
MODEL = "0" * 16
N_FRAMES = 2000


@pytest.fixture(scope="module")
def lab(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three mice with tracks raw and of a filter that gives all that a filter can give."""
    from schemas.labels import Skeleton
    from schemas.model import DeployedModel, Model
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse
    from schemas.track import FilteredTrack, TrackQuality

    bundle = tmp_path_factory.mktemp("bundle")
    (bundle / "weights").write_bytes(b"none")
    Skeleton.insert1({"skeleton_id": MODEL})
    Skeleton.Node.insert({"skeleton_id": MODEL, "node": node, "node_index": i} for i, node in enumerate(NODES))
    row = {"model_id": MODEL, "camera": "lower", "skeleton_id": MODEL, "estimator": "sleap", "model_name": "m"}
    Model.insert1({**row, "bundle": bundle})
    DeployedModel.insert1({"camera": "lower", "model_id": MODEL})
    for index, mouse in enumerate(MICE):
        Mouse.insert1({"mouse_id": mouse, "genotype": "wt", "sex": "female"})
        key: dict[str, Any] = {"mouse_id": mouse, "session_date": date(2026, 3, 1 + index), "session_number": 1}
        Session.insert1({**key, "session_folder": "simulated", "rig": "left"})
        key["camera"] = "lower"
        video = {"video_file": "simulated", "file_size_bytes": 0, "content_hash": f"{index:064}"}
        video |= {"n_frames": N_FRAMES, "fps_numerator": 100, "fps_denominator": 1, "width_px": 640, "height_px": 640}
        Video.insert1({**key, **video})
        key["model_id"] = MODEL
        tracks = _tracks(index)
        made = {"device": "cpu", "estimation_duration_s": 1.0}
        PoseEstimation.insert1(
            {**key, "tracks": replace(tracks, sd=None, rejected=None, filled=None), **made}, **_DIRECT
        )
        FilteredTrack.insert1({**key, "filter_method": "raw", "tracks": None}, **_DIRECT)
        FilteredTrack.insert1({**key, "filter_method": "kalman", "tracks": tracks}, **_DIRECT)
    TrackQuality.populate()
    return database


_DIRECT: dict[str, Any] = {"allow_direct_insert": True}


def _tracks(index: int) -> Tracks:
    rng = np.random.default_rng(index)
    flags = rng.random((2, N_FRAMES, len(NODES))) < 0.2
    position = rng.normal(100, 20, (N_FRAMES, len(NODES), 2))
    return Tracks(
        position,
        np.full((N_FRAMES, len(NODES)), 0.9),
        np.arange(N_FRAMES) / 100,
        NODES,
        sd=rng.random((N_FRAMES, len(NODES), 2)),
        rejected=flags[0],
        filled=flags[1],
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"restriction": "rigg='left'"}, "rigg.*columns are mouse_id, .*rig, "),
        ({"restriction": dj.AndList(["rigg='left'"])}, "rigg.*columns are"),
        ({"restriction": 'rig="simulation"'}, "columns are.*quoted with '"),
        ({"restriction": "rig = = 'x'"}, "columns are"),
        ({"restriction": "session_number = 'first'"}, "columns are"),
        ({"restriction": {"rigg": "nonsense"}}, "no column 'rigg'; columns are"),
        ({"restriction": [{"rig": "left"}, {"rigg": "left"}]}, "no column 'rigg'"),
        ({"restriction": dj.Not({"rigg": "left"})}, "no column 'rigg'"),
        ({"restriction": {"held_out": True}}, "no column 'held_out'"),
        ({"time_span_s": 5}, "start and end in seconds"),
        ({"time_span_s": ("a", "b")}, "start and end in seconds"),
        ({"time_span_s": (math.nan, 3)}, "start and end in seconds"),
        ({"time_span_s": (5, 1)}, "the start before the end"),
        ({"date": 5}, "a day such as"),
        ({"date": ("2026-03-05", "2026-03-01")}, "comes after 2026-03-01"),
        ({"held_out": "yes"}, "True or False"),
        ({"quality": 0.9}, "a text or a list of texts"),
        ({"mouse": 5}, "a text or a list of texts"),
        ({"quality": "jaw_tip.found > 0.5 and tongue.jumps < 5"}, "a list of them"),
        ({"nodes": "jaw_tip"}, "is node, time_span_s, skip_broken, calibrated, mouse"),
    ],
)
def test_what_cannot_be_meant_is_refused(lab: Settings, question: dict[str, Any], said: str) -> None:
    from pipeline import query

    with pytest.raises(query.QueryError, match=said):
        query.tracks(**question)
    if {"restriction", "date"} & set(question):
        with pytest.raises(query.QueryError, match=said):
            query.qualities(**question)


def test_bouts_refuse_what_is_no_bout(lab: Settings) -> None:
    from pipeline import query

    for speed in (-50, math.nan, "fast"):
        with pytest.raises(query.QueryError, match=f"minimum_speed_px_per_s is {speed!r}, expected a number"):
            query.bouts("jaw_tip", minimum_speed_px_per_s=speed)  # type: ignore[arg-type]
    with pytest.raises(query.QueryError, match="one node"):
        query.bouts(["jaw_tip", "tongue"], minimum_speed_px_per_s=50)  # type: ignore[arg-type]
    with pytest.raises(query.QueryError, match="not both"):
        query.bouts("jaw_tip", minimum_speed_px_per_s=50, method="licks")
    with pytest.raises(query.QueryError, match=r"no bouts of bout_method 'licks' are found in this lab; .*none yet"):
        query.bouts(method="licks")


def test_all_stands_for_every_filter(lab: Settings) -> None:
    from pipeline import query

    every = query.tracks(filter=["raw", "kalman"]).rows
    assert query.tracks(filter="all").rows == every == query.tracks(filter=["all"]).rows
    assert query.ask_sql("select distinct filter_method from tracks order by 1", filter="all").to_pylist() == [
        {"filter_method": "kalman"},
        {"filter_method": "raw"},
    ]


def test_a_time_span_may_be_open(lab: Settings) -> None:
    from pipeline import query

    for span, n_frames in (((19, None), 100), ((None, 1), 100), ((None, None), N_FRAMES)):
        found = query.tracks(mouse="anna", time_span_s=span)
        assert [tracks.n_frames for _, tracks in found] == [n_frames]
        counted = query.sql("select count(*) from tracks", mouse="anna", time_span_s=span)
        assert counted.fetchall() == [(n_frames,)]
    assert not query.tracks(time_span_s=(1000, None)).any_frame()
    assert query.tracks(time_span_s=(19, None)).any_frame()


def test_an_empty_answer_has_the_columns_of_a_full_one(lab: Settings) -> None:
    from pipeline import query

    nothing = {"mouse": "anna", "date": "2026-03-02"}
    for ask in (query.qualities, query.manifest, lambda **asked: query.bouts("jaw_tip", **_SPEED, **asked)):
        full, empty = ask(mouse="anna"), ask(**nothing)
        assert (full.num_rows > 0, empty.num_rows) == (True, 0)
        assert full.schema == empty.schema
    assert query.distances(**nothing).to_pandas()["variance_px2"].tolist() == []
    assert str(query.manifest().schema.field("date_of_birth").type) == "date32[day]"
    full, empty = query.tracks(mouse="anna"), query.tracks(**nothing)
    assert full.to_pandas().columns.tolist() == empty.to_pandas().columns.tolist()
    assert full.to_polars().schema == empty.to_polars().schema


_SPEED = {"minimum_speed_px_per_s": 50.0, "minimum_duration_s": 0}


def test_frames_hold_what_filters_gave_and_who_the_mouse_is(lab: Settings) -> None:
    from pipeline import query

    frame = query.tracks(filter=["raw", "kalman"], node="tongue").to_pandas()
    assert set(frame["sex"]) == {"female"}
    assert set(frame["genotype"]) == {"wt"}
    expected = _tracks(1)
    bert = frame[(frame["mouse_id"] == "bert") & (frame["filter_method"] == "kalman")]
    assert expected.sd is not None
    np.testing.assert_array_equal(bert["x_sd_px"], expected.sd[:, 1, 0])
    np.testing.assert_array_equal(bert["y_sd_px"], expected.sd[:, 1, 1])
    np.testing.assert_array_equal(bert["rejected"].astype(bool), expected.rejected[:, 1])  # type: ignore[index]
    np.testing.assert_array_equal(bert["filled"].astype(bool), expected.filled[:, 1])  # type: ignore[index]
    raw = frame[frame["filter_method"] == "raw"]
    assert raw[["x_sd_px", "y_sd_px", "rejected", "filled"]].isna().all(axis=None)
    assert "filled" not in query.tracks(filter="raw").to_pandas()


def test_a_selection_is_a_duckdb_relation(lab: Settings) -> None:
    from pipeline import query

    relation = query.tracks(filter="kalman", node="jaw_tip").to_duckdb()
    statement = "select mouse_id, avg(jaw_tip_xsd), any_value(fps) from tracks group by 1 order by 1"
    for index, (mouse, sd, fps) in enumerate(relation.query("tracks", statement).fetchall()):
        expected = _tracks(index).sd
        assert expected is not None
        assert (mouse, sd, fps) == (MICE[index], pytest.approx(expected[:, 0, 0].mean(), rel=1e-5), 100)


@pytest.fixture
def damage(lab: Settings) -> Iterator[Callable[..., Path]]:
    """Zero the data of a mouse's raw tracks and leave the footer whole, or remove the file; mended afterwards."""
    from pipeline import query

    whole: dict[Path, bytes] = {}

    def zero(mouse: str, *, remove: bool = False) -> Path:
        path = Path(query.tracks(mouse=mouse).files()[0])
        whole[path] = content = path.read_bytes()
        data_end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        path.write_bytes(content[:100] + bytes(data_end - 100) + content[data_end:])
        if remove:
            path.unlink()
        return path

    yield zero
    for path, content in whole.items():
        path.write_bytes(content)


STATEMENT = "select count(distinct mouse_id), count(*) from tracks where jaw_tip_x < 1e9"


def test_sql_names_the_row_of_a_file_that_is_gone(damage: Callable[..., Path]) -> None:
    from pipeline import query

    path = damage("bert", remove=True)
    for ask in (query.sql, query.ask_sql, lambda _: query.tracks().to_duckdb()):
        with pytest.raises(query.QueryError, match=r"^bert/2026-03-02_1 lower, .*No such file") as caught:
            ask(STATEMENT)
        assert str(caught.value).count(path.name) == 1
        assert "--skip-broken" in str(caught.value)
        assert "orofacial delete session" in str(caught.value)


def test_sql_leaves_damaged_data_out(damage: Callable[..., Path]) -> None:
    from pipeline import query

    damage("bert")
    with pytest.raises(query.QueryError, match=r"^bert/2026-03-02_1 lower, .*damaged"):
        query.ask_sql(STATEMENT)
    for ask in (query.ask_sql, lambda *asked, **options: query.sql(*asked, **options).to_arrow_table()):
        with pytest.warns(UserWarning, match="left out bert"):
            answer = ask(STATEMENT, skip_broken=True)
        assert list(answer.to_pylist()[0].values()) == [2, 2 * N_FRAMES]


def test_each_broken_file_is_named_for_itself(damage: Callable[..., Path]) -> None:
    from pipeline import query

    damage("anna", remove=True)
    damage("cora")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = query.ask_sql(STATEMENT, skip_broken=True)
    left_out = sorted(str(one.message) for one in caught if str(one.message).startswith("left out"))
    assert [text.split("/")[0] for text in left_out] == ["left out anna", "left out cora"]
    assert list(answer.to_pylist()[0].values()) == [1, N_FRAMES]
    refused = pytest.raises(query.QueryError, match="the only track that fits cannot be read")
    with pytest.warns(UserWarning, match="left out cora"), refused:
        query.sql(STATEMENT, mouse="cora", skip_broken=True)
    with pytest.raises(query.QueryError, match=r"cannot be run: Conversion"):
        query.ask_sql("select cast(camera as int) from tracks", mouse="bert")


def test_values_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table(["mouse", "held out"], [["a:x:[b]", True], [":mouse:", False]])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a:x:[b]", "yes"] in lines
    assert [":mouse:", "no"] in lines
    columns = [f"left_whisker_pad_{index}" for index in range(20)]
    print_answer(columns, [list(range(20)), [None, True, "a\nb", *range(17)]])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["row", "1"], ["left_whisker_pad_0", "0"], ["left_whisker_pad_1", "1"]]
    assert lines[21:25] == [["row", "2"], [columns[0], "-"], [columns[1], "yes"], [columns[2], "a b"]]


def test_a_missing_folder_is_said_once(tmp_path: Path) -> None:
    output = tmp_path / "nodir" / "x.csv"
    with (
        pytest.raises(OrofacialError, match=r"there is no folder .*nodir; make it") as caught,
        whole_file(output, OrofacialError) as temporary,
    ):
        temporary.write_text("mouse01")
    assert ".part" not in str(caught.value)


def test_the_shell_says_what_is_listed_and_what_is_broken(
    lab: Settings, run_command: Callable[..., Any], tmp_path: Path, damage: Callable[..., Path]
) -> None:
    variables = {"OROFACIAL_SCHEMA_PREFIX": lab.schema_prefix, "OROFACIAL_DATA_FOLDER": str(lab.data_folder)}
    run = partial(run_command, "tracks", **variables, COLUMNS="120")
    late = run("--from", 1000, "-o", tmp_path / "late.csv")
    assert (late.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "no track has a frame" in late.stderr
    assert run("--manifest", "-o", tmp_path / "files.parquet").returncode == 0
    assert pq.read_table(tmp_path / "files.parquet")["nodes"].to_pylist() == [list(NODES)] * 3
    assert run("--manifest", "-o", tmp_path / "files.csv").returncode == 0
    damage("anna", remove=True)
    listed = run()
    assert ["anna/2026-03-01_1", "lower", MODEL, "raw", "not", "known", "2000", "100"] in [
        line.split() for line in listed.stdout.splitlines()
    ]
    assert "cannot be used: anna/2026-03-01_1 lower" in listed.stderr
    damage("bert")
    written = run("--skip-broken", "-o", tmp_path / "tracks.parquet")
    assert f"{N_FRAMES * len(NODES)} lines of 1 track written" in written.stdout
    (track,) = json.loads(run("--mouse", "cora", "--json").stdout)["tracks"]
    assert (track["n_frames"], track["fps"], track["duration_s"], track["nodes"]) == (N_FRAMES, 100, 20, list(NODES))
