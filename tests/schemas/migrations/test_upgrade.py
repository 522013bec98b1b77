"""Databases that commit 7ef26b9 made are upgraded: every row answers the same, and a failure leaves the old state."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

_EVALUATION = "an evaluation is of a model and a set of labels, in a schema of its own"
_HELD_OUT = "not known: a frame that the model was trained on names no mouse, so any mouse may be in its training"
HELD_OUT_CHANGED = {
    *("bouts: jaw_tip", "sql: distances and qualities"),
    *(
        f"{kind}: {question}"
        for kind in ("manifest", "distances", "qualities")
        for question in ("", "all filters", "mouse müller", "quality")
    ),
}
"""Questions whose answers differ in ``held_out`` only."""
CHANGED_ON_PURPOSE: dict[str, str] = {
    "model.ModelEvaluation": _EVALUATION,
    "model.ModelEvaluation.HeldOutFrame": _EVALUATION,
    "model.ModelEvaluation.Node": _EVALUATION,
    "jobs of model.ModelEvaluation": _EVALUATION,
    "metric.LabelError": "its key has the model and the labels, not the training",
    "metric.FilterComparison": "computed anew, on the frames that the raw tracks have too",
    "track.FilterMethod": "the parameter motion of kalman is gone, interpolate has another one and a method of today",
    **{f"why: side {name}": "says n_evaluated_frames" for name in ("by_node", "kalman", "raw")},
    **dict.fromkeys((f"{kind}: held out" for kind in ("manifest", "distances", "qualities")), _HELD_OUT),
    **dict.fromkeys(HELD_OUT_CHANGED, _HELD_OUT),
}
"""Tables and questions (names in the recorded answers) that a step answers differently on purpose, and why.

A test of that step says what they answer now.
"""

CHANGES = """
def add_and_move(database):
    database.add_column("session", "session", "room='' : varchar(64)  # where, in % of \\"rooms\\"")
    database.add_column("track", "#filter_method", "speed='fast' : enum('fast', 'slow')  # of the filter")
    # A table that nothing refers to: it is made anew as it is today, and its rows are moved.
    database.rename_table("track", "__track_quality__node", "__quality_before")
    import datajoint as dj
    from schemas.track import TrackQuality

    database.create_table(TrackQuality)
    new, old = database.table("track", "__track_quality__node"), database.table("track", "__quality_before")
    names = ", ".join(map(connection.adapter.quote_identifier, dj.FreeTable(connection, old).heading.names))
    database.execute(f"INSERT INTO {new} ({names}) SELECT {names} FROM {old}")
    database.drop_table("track", "__quality_before")


def damage(database):
    database.execute(f"DELETE FROM {database.table('metric', '__filter_comparison')}")
    database.drop_table("worker", "crash")
    database.add_column("subject", "mouse", "cage=0 : int32  # number")


def fail(database):
    damage(database)
    raise RuntimeError("90 % done")
"""
"""Steps that change tables, move rows, and fail."""


def covers(new: Any, old: Any) -> bool:
    """Whether an answer is the old one, perhaps with more columns."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(name in new and covers(new[name], value) for name, value in old.items())
    if isinstance(old, list):
        return (
            isinstance(new, list) and len(new) == len(old) and all(covers(*pair) for pair in zip(new, old, strict=True))
        )
    return bool(new == old)


def test_every_row_and_question_answers_the_same_after_the_upgrade(old_lab: Any, tmp_path: Path) -> None:
    old = json.loads(gzip.decompress((HERE / "data" / f"answers_{old_lab.backend}.json.gz").read_bytes()))
    done = json.loads(old_lab.orofacial("upgrade", "--json"))
    assert done["version_before"] == 0
    assert json.loads(old_lab.orofacial("upgrade", "--json"))["steps"] == []
    old_lab.run(HERE / "answers.py", tmp_path / "answers.json")
    new = json.loads((tmp_path / "answers.json").read_text())
    changed = [name for kind in old for name in old[kind] if not covers(new[kind].get(name), old[kind][name])]
    assert set(changed) == set(CHANGED_ON_PURPOSE)
    for name in HELD_OUT_CHANGED:
        was, now = ([{**row, "held_out": None} for row in answers["answers"][name]] for answers in (old, new))
        assert covers(now, was), name


def test_an_upgraded_database_is_like_a_new_one(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    found = old_lab.program(
        """
from schemas.migrations.comparison import table_differences
from schemas.migrations.database import parts


def headings(prefix):
    schemas.activate(prefix, connection)
    return {
        cls.__qualname__: (
            list(cls().primary_key),
            {name: plain(attribute, prefix) for name, attribute in cls().heading.attributes.items()},
            sorted(parent.replace(prefix, "") for parent in cls().parents()),
        )
        for schema in schemas.table_schemas(prefix).values()
        for master, _ in schema.declare_list
        for cls in (master, *parts(master))
    }


def plain(attribute, prefix):
    values = attribute._asdict()
    return {name: str(value).replace(prefix, "") for name, value in values.items()}


upgraded = headings("orofacial_")
different = table_differences("orofacial_", connection)
assert different == [], different
new = headings("fresh_")
assert upgraded.keys() == new.keys()
for name in new:
    assert upgraded[name] == new[name], (name, upgraded[name], new[name])
print(len(new), "tables")
"""
    )
    assert "tables" in found


def test_a_step_that_fails_leaves_the_old_state(old_lab: Any) -> None:
    old_lab.program(
        CHANGES
        + """
from compute.errors import DatabaseError
before = everything()
steps = [MigrationStep(1, "adds and moves", add_and_move), MigrationStep(2, "fails", fail)]
try:
    upgrade_tables(prefix, connection, steps=steps)
except DatabaseError as error:
    assert "90 % done" in str(error) and "as it was before" in str(error), error
else:
    raise AssertionError
after = everything()
assert after == before, [name for name in before if before[name] != after.get(name)]
assert plan_tables_upgrade(prefix, connection, steps).version_before == 0
done = upgrade_tables(prefix, connection, steps=steps[:1])
assert (done.version_before, done.version_after) == (0, 1)
assert upgrade_tables(prefix, connection, steps=steps[:1]).steps == ()
"""
    )


@pytest.mark.parametrize("moment", ["in a step", "before the version", "after the version"])
def test_a_killed_upgrade_leaves_the_old_state_or_is_repaired_by_the_next(old_lab: Any, moment: str) -> None:
    kill_and_repair(old_lab, moment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while copying", "while restoring"])
@pytest.mark.parametrize("old_lab", ["mysql"], indirect=True)
def test_an_upgrade_that_is_killed_with_the_copy_at_work_is_repaired_by_the_next(old_lab: Any, moment: str) -> None:
    kill_and_repair(old_lab, moment)


def kill_and_repair(old_lab: Any, moment: str) -> None:
    program = (
        CHANGES
        + f"""
import os, pickle, signal, sys
import schemas.migrations.upgrade as machine
from pathlib import Path

if not Path(sys.argv[1]).exists():
    Path(sys.argv[1]).write_bytes(pickle.dumps(everything()))
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
moment = {moment!r}
step = damage
if moment == "in a step":
    step = lambda database: (damage(database), kill())
if moment in ("while copying", "while restoring"):
    execute, n = MigratedDatabase.execute, []
    copied = "CREATE TABLE `orofacial_upgrade`.`copy9`" if moment == "while copying" else "CREATE TABLE `session`"
    step = fail
    MigratedDatabase.execute = lambda self, sql, args=(): kill() if sql.startswith(copied) else execute(self, sql, args)
if moment == "before the version":
    machine.write_version = kill
if moment == "after the version":
    write = machine.write_version
    machine.write_version = lambda version: (write(version), kill())
upgrade_tables(prefix, connection, steps=[MigrationStep(1, "damages", step)])
"""
    )
    snapshot = old_lab.data_folder / "snapshot"
    old_lab.program(program, snapshot, expect=-signal.SIGKILL)
    state = old_lab.program(
        CHANGES
        + """
import pickle, sys
from pathlib import Path

before = pickle.loads(Path(sys.argv[1]).read_bytes())
kept = upgrade_tables(prefix, connection, steps=[]).version_before  # no step, but a repair
print("version", kept)
if kept == 0:
    assert everything() == before
    upgrade_tables(prefix, connection, steps=[MigrationStep(1, "damages", damage)])
assert plan_tables_upgrade(prefix, connection, []).version_before == 1
assert not connection.query(
    "SELECT 1 FROM information_schema.schemata WHERE schema_name = 'orofacial_upgrade'"
).fetchall()
assert ("orofacial_worker", "crash") not in everything()
""",
        snapshot,
    )
    committed = moment == "after the version" and old_lab.backend == "mysql"
    assert f"version {int(committed)}" in state


def test_only_one_process_upgrades_at_a_time(old_lab: Any) -> None:
    program = (
        CHANGES
        + """
done = upgrade_tables(prefix, connection, steps=[MigrationStep(1, "damages", damage)])
print("steps", len(done.steps))
"""
    )
    both = old_lab.start_program(program), old_lab.start_program(program)
    printed = sorted(process.communicate(timeout=300)[0].strip() for process in both)
    assert printed == ["steps 0", "steps 1"]


def test_tables_are_not_changed_under_a_running_worker(old_lab: Any) -> None:
    out = old_lab.program(
        """
import os, platform
from compute.errors import DatabaseError
from pipeline.work.worker_locks import try_worker_lock
from schemas.binding import bind_tables
from schemas.worker import Worker

bind_tables(schemas.table_schemas(prefix), connection)
owner = (platform.node(), os.getpid(), connection.connection_id)
Worker.insert1({**dict(zip(("host", "pid", "connection_id"), owner)), "process_started_s": 0, "device": "cpu",
                "heartbeat_at": "2026-01-01 00:00:00"})
steps = [MigrationStep(1, "nothing", lambda database: None)]
assert try_worker_lock(connection, owner)
try:
    upgrade_tables(prefix, connection, steps=steps)
except DatabaseError as error:
    print(error)
(Worker & {"pid": os.getpid()}).delete_quick()
assert len(upgrade_tables(prefix, connection, steps=steps).steps) == 1
"""
    )
    assert "1 worker is running" in out


def test_a_queue_whose_key_changed_is_made_anew_and_others_are_kept(old_lab: Any) -> None:
    old_lab.program(
        """
from schemas.metric import LabelError
from schemas.track import FilteredTrack
from schemas.worker import DatabaseVersion

database = MigratedDatabase(connection, prefix)
errors = database.table("track", "~~filtered_track"), database.table("metric", "~~label_error")
n_errors = database.rows(f"SELECT count(*) FROM {errors[0]} WHERE status = 'error'")
queue = database.rows(f"SELECT * FROM {errors[0]} ORDER BY 1, 2, 3, 4, 5, 6")


def change_key(database):
    # As if the table's key had had another name for the seed when its queue was made.
    old, new = (connection.adapter.quote_identifier(name) for name in ("seed", "seed_before"))
    if database.backend == "mysql":
        database.execute(f"ALTER TABLE {errors[1]} CHANGE {old} {new} INT NOT NULL")
    else:
        database.execute(f"ALTER TABLE {errors[1]} RENAME COLUMN {old} TO {new}")
    values = "'m', '2026-01-01', 1, 'side', 'x', 'raw', 'l', 't', 1, 'error', 5"
    names = "mouse_id, session_date, session_number, camera, model_id, filter_method, labels_id, training_config,"
    database.execute(f"INSERT INTO {errors[1]} ({names} {new}, status, priority) VALUES ({values})")


done = upgrade_tables(prefix, connection, steps=[MigrationStep(1, "changes a key", change_key)])
assert done.notes == ("1 failed jobs of LabelError are forgotten, and tried again by the next worker",), done.notes
assert database.rows(f"SELECT * FROM {errors[0]} ORDER BY 1, 2, 3, 4, 5, 6") == queue
assert not database.has_table("metric", "~~label_error")
"""
    )


@pytest.mark.slow
def test_a_newer_database_is_refused_by_every_command(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    old_lab.program(
        "from schemas.migrations.version import write_version\nschemas.activate(prefix, connection)\nwrite_version(99)"
    )
    for words in (["status"], ["tracks"], ["upgrade"], ["upgrade", "--dry-run"]):
        said = old_lab.orofacial(*words, expect=1)
        assert "version 99" in said and "Update orofacial" in said
