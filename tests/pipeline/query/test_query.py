"""Questions across animals find what is there, and give it as every tool wants it."""

from __future__ import annotations

import doctest
import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pytest
import xarray as xr

from compute.filters import apply_filter
from compute.tracks import Tracks
from pipeline.settings import Settings

NAUGHTY = '"; drop table'
MICE = (NAUGHTY, "m[1]*", "100% %s", "mouse é'")
NODES = ("jaw_tip", "left snout", "größe_x")
MODEL = "0" * 16
OTHER_MODEL = "1" * 16
N_FRAMES = 50


def known_tracks(index: int, nodes: tuple[str, ...] = NODES) -> Tracks:
    """Tracks in which mouse `index` is at 100 * index; its first frame has no jaw tip."""
    rng = np.random.default_rng(index)
    position = 100 * index + rng.normal(0, 1, (N_FRAMES, len(nodes), 2))
    position[0, 0] = np.nan
    score = np.where(np.isnan(position[..., 0]), 0, 0.9)
    return Tracks(position, score, np.arange(N_FRAMES) / 100, nodes)


@pytest.fixture(scope="module")
def lab(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Four mice, one session each, two models with other nodes, filters raw and median."""
    from schemas.labels import Skeleton
    from schemas.model import DeployedModel, Model
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse
    from schemas.track import FilteredTrack, TrackQuality

    bundle = tmp_path_factory.mktemp("bundle")
    (bundle / "weights").write_bytes(b"none")
    Mouse.insert(
        {"mouse_id": mouse, "genotype": ("wt", "ko")[index % 2], "sex": "female"} for index, mouse in enumerate(MICE)
    )
    for model, nodes in ((MODEL, NODES), (OTHER_MODEL, ("jaw_tip", "tongue"))):
        Skeleton.insert1({"skeleton_id": model})
        Skeleton.Node.insert({"skeleton_id": model, "node": node, "node_index": i} for i, node in enumerate(nodes))
        row = {
            "model_id": model,
            "camera": "lower",
            "skeleton_id": model,
            "estimator": "sleap",
            "model_name": f"m{model[0]}",
            "training_mice_known": True,
        }
        Model.insert1({**row, "bundle": bundle})
        DeployedModel.insert1({"camera": "lower", "model_id": model})
    Model.Mouse.insert1({"model_id": MODEL, "mouse_id": NAUGHTY})
    for index, mouse in enumerate(MICE):
        key: dict[str, Any] = {"mouse_id": mouse, "session_date": date(2026, 3, 1 + index), "session_number": 1}
        Session.insert1({**key, "session_folder": "simulated", "rig": f"rig{index}"})
        key["camera"] = "lower"
        video = {"video_file": "simulated", "file_size_bytes": 0, "content_hash": f"{index:064}"}
        video |= {"n_frames": N_FRAMES, "fps_numerator": 100, "fps_denominator": 1, "width_px": 640, "height_px": 640}
        Video.insert1({**key, **video})
        for model, nodes in ((MODEL, NODES), (OTHER_MODEL, ("jaw_tip", "tongue"))):
            if model == OTHER_MODEL and index:
                continue
            key["model_id"] = model
            tracks = known_tracks(index, nodes)
            made = {"device": "cpu", "estimation_duration_s": 1.0}
            PoseEstimation.insert1({**key, "tracks": tracks, **made}, allow_direct_insert=True)
            FilteredTrack.insert1({**key, "filter_method": "raw", "tracks": None}, allow_direct_insert=True)
            filtered = apply_filter(tracks, "median", {})
            FilteredTrack.insert1({**key, "filter_method": "median", "tracks": filtered}, allow_direct_insert=True)
    TrackQuality.populate()
    return database


def mice(**question: Any) -> list[str]:
    from pipeline import query

    return [row["mouse_id"] for row in query.tracks(model=MODEL, **question).rows]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, sorted(MICE)),
        ({"mouse": NAUGHTY}, [NAUGHTY]),
        ({"mouse": ["100% %s", "m[1]*"]}, ["100% %s", "m[1]*"]),
        ({"genotype": "ko"}, ["m[1]*", "mouse é'"]),
        ({"genotype": "ko", "sex": "female", "camera": "lower"}, ["m[1]*", "mouse é'"]),
        ({"held_out": False}, [NAUGHTY]),
        ({"held_out": True, "genotype": "wt"}, ["100% %s"]),
        ({"date": "2026-03-02"}, ["m[1]*"]),
        ({"date": (date(2026, 3, 2), "2026-03-03")}, ["100% %s", "m[1]*"]),
        ({"quality": "jaw_tip.found > 0.97"}, sorted(MICE)),
        ({"quality": ["jaw_tip.found >= 0.98", "left snout.found < 1"]}, []),
        ({"restriction": {"rig": "rig1"}}, ["m[1]*"]),
        ({"restriction": "rig = 'rig1' or rig = 'rig2'"}, ["100% %s", "m[1]*"]),
        ({"mouse": NAUGHTY, "genotype": "ko"}, []),
    ],
)
def test_a_question_finds_what_fits(lab: Settings, question: dict[str, Any], expected: list[str]) -> None:
    assert mice(**question) == expected


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"mouse": "nobody"}, "100% %s"),
        ({"mouse": ["100% %s", "M[1]"]}, r"no mouse_id 'M\[1\]' in the database; nearest is m\[1\]\*; known are"),
        ({"camera": ["lower", "sied"]}, "no camera 'sied' in the database; nearest is side; known are"),
        ({"filter": ["raw", "Median"]}, "no filter_method 'Median' in the database; nearest is median"),
        ({"genotype": ["ko", "het"]}, "known are ko, wt"),
        ({"model": [MODEL, "1" * 15]}, f"nearest is .*{OTHER_MODEL}"),
        ({"genotype": "het"}, "known are ko, wt"),
        ({"date": "yesterday"}, "2026-03-02"),
        ({"date": ("2026-03-01", "2026-03-02", "2026-03-03")}, "two of them"),
        ({"quality": "jaw_tip > 1"}, "NODE.NAME > NUMBER"),
        ({"quality": "whisker.found > 0.1"}, "nodes are"),
        ({"quality": "jaw_tip.found > 1e"}, "no number"),
        ({"node": "whisker"}, "jaw_tip"),
        ({"colour": "black"}, "genotype"),
    ],
)
def test_what_is_not_there_is_said(lab: Settings, question: dict[str, Any], said: str) -> None:
    from pipeline import query

    with pytest.raises(query.QueryError, match=said):
        query.tracks(**question)


def test_finding_takes_one_sql_query_however_many_sessions(lab: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import query

    connection = dj.conn()
    asked: list[str] = []
    run = connection.query

    def counted(statement: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(statement)
        return run(statement, *args, **kwargs)

    query.tracks(held_out=True)  # the tables' headings are read once in a process
    monkeypatch.setattr(connection, "query", counted)
    query.tracks(genotype="wt", held_out=True, quality="jaw_tip.found > 0.5")
    assert len([statement for statement in asked if "__filtered_track" in statement]) == 1
    assert len(asked) <= 6  # the others ask for models: deployed ones, those whose training mice are known, others


def test_tracks_come_back_as_they_were(lab: Settings) -> None:
    from pipeline import query

    for row, tracks in query.tracks(model=MODEL, node=["größe_x", "jaw_tip"], time_span_s=(0.1, 0.2)):
        expected = known_tracks(MICE.index(row["mouse_id"]))
        np.testing.assert_array_equal(tracks.position, expected.position[10:20, [2, 0]])
        np.testing.assert_array_equal(tracks.time, expected.time[10:20])


def test_frames_hold_the_same_numbers(lab: Settings) -> None:
    from pipeline import query

    selection = query.tracks(model=MODEL, node="left snout", time_span_s=(0.1, 10))
    pandas, polars = selection.to_pandas(), selection.to_polars()
    assert len(pandas) == len(polars) == 4 * 40
    for frame in (pandas, polars.to_pandas()):
        one = frame[frame["mouse_id"] == "m[1]*"]
        np.testing.assert_array_equal(one["x_px"], known_tracks(1).position[10:, 1, 0])
        assert one["frame_index"].tolist() == list(range(10, 50))
    assert query.tracks(mouse=NAUGHTY, genotype="ko").to_pandas().empty


def test_sql_sees_all_sessions_as_one_table(lab: Settings) -> None:
    from pipeline import query

    rows = query.sql(
        'select mouse_id, held_out, genotype, count(*), count(jaw_tip_x), var_samp("left snout_y")'
        " from tracks group by all order by mouse_id",
        model=MODEL,
    ).fetchall()
    assert [row[0] for row in rows] == sorted(MICE)
    for mouse, held_out, genotype, n_frames, n_found, variance in rows:
        index = MICE.index(mouse)
        expected = known_tracks(index).position[:, 1, 1].astype(float)
        assert (held_out, genotype) == (mouse != NAUGHTY, ("wt", "ko")[index % 2])
        assert (n_frames, n_found) == (N_FRAMES, N_FRAMES - 1)
        assert variance == pytest.approx(np.var(expected, ddof=1), rel=1e-6)


def test_skeletons_with_other_nodes_are_one_table(lab: Settings) -> None:
    from pipeline import query

    rows = query.sql("select model_id, count(tongue_x), count(größe_x_x) from tracks group by 1 order by 1").fetchall()
    assert rows == [(MODEL, 0, 4 * N_FRAMES), (OTHER_MODEL, N_FRAMES, 0)]
    spanned = query.sql("select min(frame_index), max(time_s) from tracks", time_span_s=(0.2, 0.3)).fetchall()
    assert spanned == [(20, 0.29)]
    with pytest.raises(query.QueryError, match="cannot be run"):
        query.sql("select tongue_x from nowhere")


def test_results_are_tables_too(lab: Settings) -> None:
    from pipeline import query

    found = query.qualities(model=MODEL, genotype="ko").to_pandas()
    assert len(found) == 2 * len(NODES)
    assert set(found["mouse_id"]) == {"m[1]*", "mouse é'"}
    assert found.loc[found["node"] == "jaw_tip", "fraction_found"].tolist() == [0.98, 0.98]
    assert query.distances().num_rows == 0  # no pair is measured here
    joined = query.sql(
        "select count(*) from tracks join qualities using (mouse_id, model_id)", model=MODEL, node="jaw_tip"
    )
    assert joined.fetchall() == [(4 * N_FRAMES * len(NODES),)]


def test_a_manifest_says_what_is_in_the_files_that_it_names(lab: Settings) -> None:
    """Other engines read these files as they are."""
    import pyarrow.parquet as pq

    from pipeline import query

    manifest = query.manifest(model=MODEL)
    assert manifest["n_frames"].to_pylist() == [N_FRAMES] * 4
    lines = query.manifest(filter="all", restriction={"mouse_id": NAUGHTY}).to_pylist()
    assert {(line["model_id"], line["filter_method"]) for line in lines} >= {(MODEL, "median"), (OTHER_MODEL, "raw")}
    for line in lines:
        assert line["file_columns"] == pq.ParquetFile(line["file"]).schema_arrow.names
    with pytest.raises(query.QueryError, match=r"not only those of a span of time.*compare the column time_s"):
        query.manifest(model=MODEL, time_span_s=(0, 0.1))


def test_xarray_has_movements_layout(lab: Settings, tmp_path: Path) -> None:
    """As `movement.validators.datasets.ValidPosesInputs` demands it (movement 0.15), variable by variable."""
    from pipeline import query

    for row, dataset in query.tracks(model=MODEL).to_xarray():
        assert dataset["position"].dims == ("time", "space", "keypoints", "individuals")
        assert dataset["confidence"].dims == ("time", "keypoints", "individuals")
        assert dataset["individuals"].values.tolist() == [row["mouse_id"]]
        assert dataset["keypoints"].values.tolist() == list(NODES)
        assert dataset["space"].values.tolist() == ["x", "y"]
        assert dataset.attrs["ds_type"] == "poses"
        assert dataset.attrs["time_unit"] == "seconds"
        assert dataset.attrs["fps"] == pytest.approx(100)
        assert dataset.attrs["held_out"] == (1 if row["held_out"] else 0)
        dataset.to_netcdf(tmp_path / "one.nc", engine="scipy")
        assert xr.load_dataset(tmp_path / "one.nc").attrs["held_out"] == dataset.attrs["held_out"]


@pytest.fixture
def broken(lab: Settings) -> Iterator[Callable[[str, Callable[[Path], object]], None]]:
    """Damage the file of a mouse's raw tracks; it is mended afterwards."""
    from pipeline import query

    whole: dict[Path, bytes] = {}

    def damage(mouse: str, how: Callable[[Path], object]) -> None:
        path = Path(query.tracks(mouse=mouse, model=MODEL).files()[0])
        whole[path] = path.read_bytes()
        how(path)

    yield damage
    for path, content in whole.items():
        path.write_bytes(content)


def _newer(path: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metadata = table.schema.metadata[b"orofacial"].replace(b'"format_version": 1', b'"format_version": 99')
    pq.write_table(table.replace_schema_metadata({b"orofacial": metadata}), path)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(b"PAR1 nothing"), "damaged"),
        (_newer, "format version 99"),
    ],
    ids=["gone", "cut", "empty", "garbage", "newer"],
)
def test_a_broken_file_names_its_row_or_is_left_out(
    broken: Callable[..., None], how: Callable[[Path], object], said: str
) -> None:
    from pipeline import query

    broken("m[1]*", how)
    for ask in (
        lambda: list(query.tracks(model=MODEL)),
        lambda: query.tracks(model=MODEL).to_pandas(),
        lambda: query.tracks(model=MODEL).readable(),
    ):
        with pytest.raises(query.QueryError, match=rf"m\[1\]\*/2026-03-02_1 lower, .*{said}"):
            ask()
    selection = query.tracks(model=MODEL, skip_broken=True)
    with pytest.warns(UserWarning, match="left out m"):
        assert len(list(selection)) == 3
    assert [left.row["mouse_id"] for left in selection.left_out] == ["m[1]*"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = query.sql("select count(distinct mouse_id) from tracks", model=MODEL, skip_broken=True)
        nothing = query.tracks(model=MODEL, mouse="m[1]*", skip_broken=True).readable(thoroughly=True).understood()
        manifest = query.manifest(model=MODEL, skip_broken=True)
    assert counted.fetchall() == [(3,)]
    assert "m[1]*" not in manifest["mouse_id"].to_pylist() and manifest.num_rows == 3
    with pytest.raises(query.QueryError, match="the only track that fits cannot be read; see what was left out"):
        nothing.check_any()
    if how is not _newer:
        with pytest.raises(query.QueryError, match=r"m\[1\]\*/2026-03-02_1"):
            query.ask_sql("select sum(jaw_tip_x) from tracks", model=MODEL)


def test_a_wrong_question_says_nothing_of_the_stored_tracks(lab: Settings) -> None:
    from compute.errors import DatabaseError, TracksError
    from pipeline import query
    from pipeline.query.selection import HELD_OUT_MEANINGS, held_out_flag

    once = query.tracks(model=MODEL, node=["jaw_tip", "jaw_tip"], mouse=[MICE[0], MICE[0]], skip_broken=True)
    assert once.nodes == ("jaw_tip",) and len(list(once)) == len(once) == 1 and not once.left_out
    assert len(query.sql("select count(jaw_tip_x) from tracks", model=MODEL, node=["jaw_tip"] * 2).fetchall()) == 1
    for nodes, said in ((("jaw_tip", "jaw_tip"), "asked for twice"), (("nose9",), "no node 'nose9'")):
        with pytest.raises(TracksError, match=said) as refused:
            once.references[0].tracks(nodes)
        assert not isinstance(refused.value, DatabaseError) and "backup" not in str(refused.value)
        with pytest.raises(TracksError, match=said):
            list(replace(once, nodes=nodes))  # skip_broken leaves out what is broken, not what was asked wrongly
    assert not once.left_out
    assert [held_out_flag(one) for one in (True, False, None)] == [1, 0, -1] and "not known" in HELD_OUT_MEANINGS


def test_a_value_that_is_not_known_is_no_name(lab: Settings) -> None:
    from pipeline import query
    from schemas.subject import Mouse

    Mouse.insert1({"mouse_id": "unknown genotype"})
    with pytest.raises(query.QueryError, match="no mouse_id 'unknown genotype'"):  # nothing was recorded of it
        query.tracks(mouse=["m[1]*", "unknown genotype"])
    with pytest.raises(query.QueryError, match=r"known are ko, wt$"):
        query.tracks(genotype="het")
    (Mouse & {"mouse_id": "unknown genotype"}).delete(prompt=False)


def test_a_row_of_a_newer_version_is_refused_before_its_file_is_read(lab: Settings) -> None:
    import json

    from pipeline import query
    from schemas.pose import PoseEstimation

    (estimation,) = (PoseEstimation & {"mouse_id": "m[1]*", "model_id": MODEL}).proj(raw_tracks="tracks").keys()
    row = PoseEstimation & estimation
    (stored,) = query.search.search_tracks(query.Question(), row.proj("tracks"))[:1]
    kept = stored["tracks"] if isinstance(stored["tracks"], str) else json.dumps(stored["tracks"])

    def write(text: str) -> None:
        statement = f"update {PoseEstimation.full_table_name} set tracks=%s{row.where_clause()}"
        PoseEstimation.connection.query(statement, args=(text,))

    write(kept.replace('"format_version": 1', '"format_version": 99'))
    try:
        with pytest.raises(query.QueryError, match=r"m\[1\]\*/2026-03-02_1 lower, .*format version 99"):
            query.sql("select sum(jaw_tip_x) from tracks", model=MODEL)
        with pytest.raises(query.QueryError, match=r"m\[1\]\*/2026-03-02_1 lower, .*format version 99"):
            query.manifest(model=MODEL)
        with pytest.warns(UserWarning, match="left out m"):
            counted = query.sql("select count(distinct mouse_id) from tracks", model=MODEL, skip_broken=True)
        assert counted.fetchall() == [(3,)]
    finally:
        write(kept)


@pytest.mark.parametrize("name", ["duckdb_view", "question", "results", "search", "selection", "sql"])
def test_the_examples_in_the_docstrings_run(lab: Settings, name: str) -> None:
    module = importlib.import_module(f"pipeline.query.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_a_node_name_cannot_reach_the_sql(lab: Settings) -> None:
    from pipeline.query.duckdb_view import _literal, _quoted

    assert _quoted('a" from x; drop table y --') == '"a"" from x; drop table y --"'
    assert _literal("it's") == "'it''s'"


Run = Callable[..., Any]


@pytest.fixture
def run(lab: Settings, run_command: Run) -> Run:
    variables = {"OROFACIAL_SCHEMA_PREFIX": lab.schema_prefix, "OROFACIAL_DATA_FOLDER": str(lab.data_folder)}
    return partial(run_command, **variables)


def test_the_shell_asks_the_same(run: Run, tmp_path: Path) -> None:
    import json

    import pyarrow.parquet as pq

    listed = run("tracks", "--genotype", "ko", "--model", MODEL)
    assert "m[1]*/2026-03-02_1" in listed.stdout, listed.stderr
    written = run("tracks", "--mouse", NAUGHTY, "--model", MODEL, "--node", "jaw_tip", "-o", tmp_path / "jaw.parquet")
    assert written.returncode == 0, written.stderr
    assert pq.read_table(tmp_path / "jaw.parquet").num_rows == N_FRAMES
    statement = "select mouse_id, count(*) as n from tracks group by 1 order by 1"
    answered = run("sql", statement, "--model", MODEL, "--json")
    assert json.loads(answered.stdout)["rows"] == [{"mouse_id": mouse, "n": N_FRAMES} for mouse in sorted(MICE)]
    assert "lines written" in run("sql", statement, "-o", tmp_path / "n.csv").stdout
    assert (tmp_path / "n.csv").read_text().splitlines()[0] == '"mouse_id","n"'
    refused = run("sql", "drop everything")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "cannot be run" in refused.stderr
