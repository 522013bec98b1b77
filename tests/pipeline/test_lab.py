"""Labs in one process, one after another: each answers for itself only, and a read-only one changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from compute.errors import DatabaseError
from compute.tracks import Tracks
from pipeline.lab import Lab, connect_lab
from pipeline.settings import Settings, SettingsError

NODES = ("jaw_tip", "nose")
N_FRAMES = 20


def fill(lab: Lab, mouse: str, folder: Path, jaw_px: float) -> None:
    """One session with one raw track, whose jaw stays where it is said."""
    from ingest.labels import insert_label_skeleton

    tables, key = lab.tables, {"mouse_id": mouse, "session_date": "2026-03-02", "session_number": 1}
    tables.Mouse.insert1({"mouse_id": mouse})
    tables.Session.insert1({**key, "session_folder": f"/raw/{mouse}"})
    tables.Video.insert1(
        {
            **{**key, "camera": "side", "video_file": f"/raw/{mouse}/side.mp4", "file_size_bytes": 1},
            **{"content_hash": mouse.ljust(64, "0"), "n_frames": N_FRAMES, "fps_numerator": 100, "fps_denominator": 1},
            **{"width_px": 100, "height_px": 100},
        }
    )
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "weights").write_text("none")
    model = {"model_id": "0123456789abcdef", "camera": "side", "skeleton_id": insert_label_skeleton(NODES, ())}
    tables.Model.insert1({**model, "estimator": "sleap", "model_name": "none", "bundle": bundle})
    tables.DeployedModel.insert1({"camera": "side", "model_id": model["model_id"]})
    tables.Model.Mouse.insert1({"model_id": model["model_id"], "mouse_id": mouse})
    estimated = {**key, "camera": "side", "model_id": model["model_id"]}
    tables.PoseEstimation.insert1(
        {**estimated, "tracks": jaw_at(jaw_px), "device": "cpu", "estimation_duration_s": 1.0}, allow_direct_insert=True
    )
    tables.FilteredTrack.insert1({**estimated, "filter_method": "raw"}, allow_direct_insert=True)


def jaw_at(jaw_px: float) -> Tracks:
    position = np.full((N_FRAMES, len(NODES), 2), jaw_px, np.float32)
    return Tracks(position, np.ones((N_FRAMES, len(NODES)), np.float32), np.arange(N_FRAMES) / 100, NODES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data folders of two labs with a mouse each."""
    made = {}
    for mouse, jaw_px in (("anna", 10.0), ("bert", 20.0)):
        made[mouse] = tmp_path_factory.mktemp(mouse) / "data"
        with connect_lab(made[mouse]) as lab:
            fill(lab, mouse, made[mouse].parent / "model", jaw_px)
    return made


@pytest.fixture(autouse=True)
def _away_from_other_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from pipeline.database.connection import close_connection

    monkeypatch.chdir(tmp_path)
    yield
    close_connection()


def jaws(lab: Lab) -> dict[str, float]:
    """What a lab answers: for each mouse where its jaw is (px)."""
    rows = lab.sql("select mouse_id, avg(jaw_tip_x) from tracks group by 1").fetchall()
    return {str(mouse): float(jaw_px) for mouse, jaw_px in rows}


def test_two_labs_one_after_another_answer_for_themselves(folders: dict[str, Path]) -> None:
    first = connect_lab(folders["anna"])
    assert jaws(first) == {"anna": 10.0}
    selection = first.tracks()
    second = connect_lab(folders["bert"])
    assert jaws(second) == {"bert": 20.0}
    assert second.tables.Mouse.to_arrays("mouse_id").tolist() == ["bert"]
    # What the first one found stays its own.
    ((row, tracks),) = list(selection)
    assert row["mouse_id"] == "anna"
    assert tracks.position[0, 0, 0] == 10
    third = connect_lab(folders["anna"])
    assert jaws(third) == {"anna": 10.0}
    assert third.manifest().column("mouse_id").to_pylist() == ["anna"]


def test_a_lab_that_another_one_replaced_says_so_and_never_gives_its_data(folders: dict[str, Path]) -> None:
    first = connect_lab(folders["anna"])
    table, question = first.tables.Mouse, first.tables.Session & "session_number = 1"
    part = first.tables.Model.Mouse
    assert len(question) == len(part()) == 1
    connect_lab(folders["bert"])
    uses: list[Callable[[], Any]] = [
        *(first.tracks, first.manifest, first.distances, first.qualities, first.status, lambda: first.tables),
        lambda: first.sql("select 1"),
        lambda: first.bouts("jaw_tip", minimum_speed_px_per_s=1),
        lambda: first.why("anna/2026-03-02_1"),
        *(table.to_dicts, lambda: table().to_dicts(), question.to_dicts, part.to_dicts),
        lambda: table.insert1({"mouse_id": "carl"}),
    ]
    for use in uses:
        with pytest.raises(DatabaseError, match="is closed: this process turned to") as error:
            use()
        assert str(folders["anna"]) in str(error.value) and str(folders["bert"]) in str(error.value)
    assert "closed" in repr(first)


def test_connecting_twice_gives_the_same_lab(folders: dict[str, Path]) -> None:
    lab = connect_lab(folders["anna"])
    assert connect_lab(str(folders["anna"])) is lab
    with connect_lab(settings=Settings(data_folder=folders["anna"])) as again:
        assert again is lab
    assert jaws(lab) == {"anna": 10.0}  # it was open before the block
    lab.close()
    lab.close()
    with pytest.raises(DatabaseError, match="is closed: it was closed"):
        lab.tracks()
    assert jaws(connect_lab(folders["anna"])) == {"anna": 10.0}


def test_a_block_closes_its_lab_also_after_an_error(folders: dict[str, Path]) -> None:
    with pytest.raises(ZeroDivisionError), connect_lab(folders["anna"]) as lab:
        _ = 1 / 0
    assert not lab.is_open
    assert not (folders["anna"] / "database" / "cluster" / "postmaster.pid").exists()


def test_tables_that_were_bound_elsewhere_are_not_asked(folders: dict[str, Path]) -> None:
    import schemas

    lab = connect_lab(folders["anna"])
    mice = lab.tables.Mouse
    schemas.activate("other_", lab.connection)
    with pytest.raises(DatabaseError, match="bound to another database meanwhile"):
        lab.tracks()
    assert mice.to_arrays("mouse_id").tolist() == ["anna"]
    assert connect_lab(folders["anna"]) is lab
    assert jaws(lab) == {"anna": 10.0}


def test_the_schemas_prefix_is_the_settings(folders: dict[str, Path]) -> None:
    lab = connect_lab(settings=Settings(data_folder=folders["anna"], schema_prefix="empty_"))
    assert lab.tables.Mouse.full_table_name == '"empty_subject"."mouse"'
    assert not lab.tables.Mouse()
    with pytest.raises(SettingsError, match="give one of them"):
        connect_lab(folders["anna"], settings=lab.settings)


def test_tables_have_their_parts_and_names(folders: dict[str, Path]) -> None:
    lab = connect_lab(folders["anna"])
    assert {"Mouse", "Session", "Video", "Model", "FilteredTrack"} <= set(dir(lab.tables))
    assert (lab.tables.Model * lab.tables.Model.Mouse).fetch1("mouse_id") == "anna"
    assert (lab.tables.PoseEstimation & {"mouse_id": "anna"}).fetch1("tracks").tracks().position[0, 0, 0] == 10
    with pytest.raises(AttributeError, match=r"there is no table Mice; tables are .*Mouse"):
        _ = lab.tables.Mice


def everything_beside_the_database(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every folder and file with its mode, time of change and content."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        if "database" in path.relative_to(folder).parts:
            continue
        about = path.stat()
        found[str(path)] = (about.st_mode, about.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def rows_of(lab: Lab) -> dict[str, Any]:
    """Number of rows of every table of the database, whatever schema it is in."""
    listed = lab.connection.query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT LIKE 'pg_%%'"
        " AND table_schema <> 'information_schema' ORDER BY 1, 2"
    ).fetchall()
    return {
        name: lab.connection.query(f'SELECT count(*) FROM "{name[0]}"."{name[1]}"').fetchone()[0] for name in listed
    }


def refuse_everything(lab: Lab) -> None:
    """Try to change things in every way that people know; each is refused by name."""
    import schemas
    from pipeline.stores.collection import collect
    from schemas.pose import PoseEstimation
    from schemas.subject import Mouse

    key = (lab.tables.PoseEstimation & {"camera": "side"}).keys()[0]
    row = {**key, "model_id": key["model_id"], "tracks": jaw_at(5.0), "device": "cpu", "estimation_duration_s": 1.0}
    changes: list[Callable[[], Any]] = [
        lambda: lab.tables.Mouse.insert1({"mouse_id": "carl"}),
        lambda: Mouse.insert1({"mouse_id": "carl"}),
        lambda: lab.tables.Mouse.update1({"mouse_id": key["mouse_id"], "sex": "male"}),
        lambda: (lab.tables.Mouse & key).delete(prompt=False),
        lambda: (Mouse & key).delete_quick(),
        lambda: PoseEstimation.insert1({**row, "mouse_id": "carl"}, allow_direct_insert=True),
        lambda: lab.tables.PoseEstimation.insert1({**row, "mouse_id": "carl"}, allow_direct_insert=True),
        lambda: lab.tables.TrackQuality.populate(reserve_jobs=True),
        lambda: lab.tables.DistanceMetrics.drop(prompt=False),
        lambda: Mouse.drop_quick(),
        lambda: schemas.subject.schema.drop(prompt=False),
        lambda: lab.connection.query("CREATE TABLE carl (a int)"),
        lambda: collect(even_most=True, grace_s=1),
    ]
    for change in changes:
        with pytest.raises(DatabaseError, match=r"was opened read-only.*without read_only=True"):
            change()


def test_read_only_refuses_changes_and_leaves_the_folder_as_it_is(folders: dict[str, Path]) -> None:
    folder = folders["anna"]
    with connect_lab(folder) as lab:
        before = rows_of(lab)
    files = everything_beside_the_database(folder)
    with connect_lab(folder, read_only=True) as lab:
        assert lab.read_only
        assert jaws(lab) == {"anna": 10.0}
        assert lab.status().stages["PoseEstimation"].done == 1
        assert lab.why("anna/2026-03-02_1")["model"]["training_mice"] == ["anna"]
        refuse_everything(lab)
        assert rows_of(lab) == before
    assert everything_beside_the_database(folder) == files
    with connect_lab(folder) as lab:  # and the next one may write again
        lab.tables.Mouse.insert1({"mouse_id": "carl"})
        (lab.tables.Mouse & {"mouse_id": "carl"}).delete(prompt=False)


def test_read_only_stays_so_after_the_connection_was_lost(folders: dict[str, Path]) -> None:
    from pipeline.database.connection import reconnect

    with connect_lab(folders["anna"], read_only=True) as lab:
        reconnect()
        assert jaws(lab) == {"anna": 10.0}
        with pytest.raises(DatabaseError, match="was opened read-only"):
            lab.tables.Mouse.insert1({"mouse_id": "carl"})


def test_read_only_makes_no_lab(folders: dict[str, Path], tmp_path: Path) -> None:
    lab = connect_lab(folders["anna"])
    for folder in (tmp_path / "nothing", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with pytest.raises(DatabaseError, match=f"{folder}.*there is no database here.*read-only"):
            connect_lab(folder, read_only=True)
        assert not folder.exists() or not list(folder.iterdir())
    assert jaws(lab) == {"anna": 10.0}  # it was not closed for that


def test_read_only_makes_no_tables_and_no_rows(folders: dict[str, Path]) -> None:
    settings = Settings(data_folder=folders["anna"], schema_prefix="nobody_")
    with pytest.raises(DatabaseError, match=r"schema nobody_subject .*Nothing is made or changed"):
        connect_lab(settings=settings, read_only=True)
    with connect_lab(folders["bert"]) as lab:
        (lab.tables.FilterMethod & {"filter_method": "one_euro"}).delete(prompt=False)
    with connect_lab(folders["bert"], read_only=True) as lab:
        assert not lab.tables.FilterMethod & {"filter_method": "one_euro"}
    with connect_lab(folders["bert"]) as lab:
        assert lab.tables.FilterMethod & {"filter_method": "one_euro"}


def test_read_only_without_its_stores_says_which(folders: dict[str, Path], tmp_path: Path) -> None:
    with connect_lab(folders["anna"]):
        pass
    copy = tmp_path / "copy"
    shutil.copytree(folders["anna"], copy, ignore=shutil.ignore_patterns("store"))
    if os.geteuid() == 0:
        owner = (folders["anna"] / "database" / "cluster").stat()
        for path in [copy / "database" / "cluster", *(copy / "database" / "cluster").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
    with connect_lab(copy, read_only=True) as lab:
        assert lab.qualities().num_rows == 0
        with pytest.raises(DatabaseError, match=f"store 'tracks'.*{copy}/store/tracks"):
            lab.tracks()
    assert not (copy / "store").exists()


DATAJOINT_STAYS = """
import datajoint as dj
dj.config.safemode, dj.config.loglevel = {safemode}, {loglevel!r}
stream, filters = dj.logger.handlers[0].stream, list(dj.logger.filters)
before = repr(dj.config.model_dump())
import orofacial
with orofacial.connect({folder!r}) as lab:
    assert dj.config.safemode is {safemode} and dj.config.loglevel == {loglevel!r}
    assert dj.logger.level == __import__("logging").getLevelName({loglevel!r})
    lab.tables.Mouse.insert1({{"mouse_id": "dora"}})
    from ingest.pairs import add_node_pair
    add_node_pair("jaw_tip", "nose", kind="moving")
    add_node_pair("jaw_tip", "nose", kind="rigid")
    (lab.tables.Mouse & {{"mouse_id": "dora"}}).delete()
    print("mice", lab.tables.Mouse.to_arrays("mouse_id").tolist())
assert repr(dj.config.model_dump()) == before
assert dj.logger.handlers[0].stream is stream and dj.logger.filters == filters
assert dj.instance._singleton_connection is None
"""


@pytest.mark.parametrize(("safemode", "left"), [(False, ["anna"]), (True, ["anna", "dora"])])
def test_datajoint_asks_as_the_user_set_it_and_its_configuration_comes_back(
    folders: dict[str, Path],
    tmp_path: Path,
    run_python: Callable[..., CompletedProcess[str]],
    safemode: bool,
    left: Any,
) -> None:
    program = DATAJOINT_STAYS.format(safemode=safemode, loglevel="ERROR", folder=str(folders["anna"]))
    done = run_python(program, tmp_path, said="no\n")
    assert f"mice {left}" in done.stdout
    assert ("Commit deletes?" in done.stdout) == safemode


ON_A_SERVER = """
import orofacial
lab = orofacial.connect({folder!r})
lab.tables.Mouse.insert1({{"mouse_id": "anna"}})
first = lab.tables.Mouse
lab = orofacial.connect({folder!r}, read_only=True)
print("mice", lab.tables.Mouse.to_arrays("mouse_id").tolist(), lab.status().n_sessions)
from compute.errors import DatabaseError
for change in (
    lambda: lab.tables.Mouse.insert1({{"mouse_id": "bert"}}),
    lambda: (lab.tables.Mouse & {{"mouse_id": "anna"}}).delete(prompt=False),
    lambda: lab.tables.Camera.insert1({{"camera": "top"}}),
    lambda: lab.connection.query("CREATE TABLE orofacial_subject.top (a int)"),
    lambda: lab.connection.query("DROP TABLE " + lab.tables.Mouse.full_table_name),
    first.to_dicts,
):
    try:
        change()
    except DatabaseError as error:
        print(error)
print("mice", lab.tables.Mouse.to_arrays("mouse_id").tolist())
"""


def test_read_only_on_a_labs_server(
    lab_server: Any, tmp_path: Path, run_python: Callable[..., CompletedProcess[str]]
) -> None:
    administrator = lab_server.variables(lab_server.administrator, lab_server.password)
    run_python("orofacial", tmp_path, "db", "init", "--server", lab_server.url, DJ_PASS=lab_server.password)
    data_folder = tmp_path / "data"
    said = run_python(ON_A_SERVER.format(folder=str(data_folder)), tmp_path, **administrator).stdout.splitlines()
    assert said[0] == "mice ['anna'] 0"
    assert said[-1] == "mice ['anna']"
    assert sum("was opened read-only" in line for line in said) == 5
    assert sum("is closed: this process turned to" in line and "read-only" in line for line in said) == 1
    assert not (data_folder / "database").exists()
