"""Step 13: corrections of before are kept, and names of an upgraded lab can be corrected on both databases."""

from __future__ import annotations

from typing import Any

OLD_TABLE = """
from schemas.migrations.steps import migration_steps_after

upgrade_tables(prefix, connection, steps=migration_steps_after(0)[:12])
table = MigratedDatabase(connection, prefix).table("session", "metadata_correction")
session = MigratedDatabase(connection, prefix).table("session", "session")
columns = {
    **{"mouse_id": "varchar(64)", "session_date": "date", "session_number": "smallint", "correction_number": "int"},
    **{"corrected_column": "varchar(64)", "corrected_camera": "varchar(32)", "value_before": "varchar(1000)"},
    **{"value_after": "varchar(1000)", "session_file": "varchar(1000)", "corrected_at": "timestamp"},
}
session_key = "mouse_id, session_date, session_number"
connection.query(
    f"CREATE TABLE {table} ({', '.join(f'{name} {kind} NOT NULL' for name, kind in columns.items())},"
    f" PRIMARY KEY ({session_key}, correction_number), FOREIGN KEY ({session_key}) REFERENCES {session} ({session_key})"
    " ON UPDATE CASCADE ON DELETE RESTRICT)"
)
key = connection.query(f"SELECT mouse_id, session_date, session_number FROM {session} ORDER BY 1, 2, 3").fetchone()
for number, column, camera, before, after, at in (
    (1, "rig", "", "left", "right", "2026-05-01 10:00:00"),
    (2, "sex", "", "", "female", "2026-05-01 09:00:00"),
    (3, "px_per_mm", "side", "", "10.0", "2026-05-02 10:00:00"),
):
    values = (*key, number, column, camera, before, after, "/raw/session.toml", at)
    connection.query(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(values))})", args=values)
"""

CHECK = """
schemas.activate(prefix, connection)
from ingest.correction_history import mouse_history, session_history
from schemas.session import Correction, Session

rows = Correction.to_dicts(order_by="correction_number")
assert [(row["corrected_column"], row["corrected_camera"], row["value_after"]) for row in rows] == [
    ("sex", "", "female"), ("rig", "", "right"), ("px_per_mm", "side", "10.0")
]
assert {row["correction_line"] for row in rows} == {1} and {row["corrected_by"] for row in rows} == {""}
assert [row["corrected_date"] is None for row in rows] == [True, False, False]
assert str(rows[0]["corrected_at"]) == "2026-05-01 09:00:00"
key = Session.keys(order_by="mouse_id, session_date, session_number")[0]
assert len(mouse_history(key["mouse_id"])) == 1
assert not MigratedDatabase(connection, prefix).has_table("session", "metadata_correction")
"""

RENAME = """
schemas.activate(prefix, connection)
import json

from ingest.session_names import SessionName
from pipeline import query
from pipeline.corrections.renames import assign_camera, merge_mice, move_session, rename_mouse
from schemas.session import Session, Video
from schemas.subject import Mouse
from schemas.training_mice import TrainingMice


def rows(mouse):
    query_rows = {}
    for cls in schemas.all_tables():
        for one in (cls, *(part for part in vars(cls).values() if isinstance(part, type) and hasattr(part, "proj"))):
            if "mouse_id" in one().heading.names:
                query_rows[one.__qualname__] = len(one & {"mouse_id": mouse})
    return query_rows


def numbers(mouse):
    found = [(one["node_a"], one["node_b"], one["variance_px2"]) for one in query.distances(mouse=mouse).to_pylist()]
    return sorted(map(str, found)), [one["held_out"] for one in query.manifest(mouse=mouse).to_pylist()]


mouse = "müller"
before, answered = rows(mouse), numbers(mouse)
assert before["Session"] and answered[0], before
rename_mouse(mouse, "M-1", reason="no umlauts")
assert rows("M-1") == before and not any(rows(mouse).values())
assert numbers("M-1") == answered
key = (Session & {"mouse_id": "M-1"}).keys(order_by="session_date, session_number")[0]
name = SessionName(**{**key, "session_number": 77})
move_session(key, name)
assert numbers("M-1") == answered
other = next(one for one in Session.keys() if one["mouse_id"] != "M-1")
swapped = SessionName(**other)
hashes = sorted((Video & name.key).to_arrays("content_hash"))
Session.update1({**other, "session_start": None})
Session.update1({**name.key, "session_start": None})
Mouse.update1({"mouse_id": "M-1", "date_of_birth": None})
Mouse.update1({"mouse_id": other["mouse_id"], "date_of_birth": None})
move_session(name.key, swapped, swap=True)
assert sorted((Video & swapped.key).to_arrays("content_hash")) == hashes
move_session(name.key, swapped, swap=True)
cameras = sorted((Video & name.key).to_arrays("camera"))
if len(cameras) == 2:
    assign_camera(name.key, *map(str, cameras), swap=True)
    assign_camera(name.key, *map(str, cameras), swap=True)
# A mouse whose frames a model may have seen stays in its training when two sessions are exchanged and back.
before, answered = rows("M-1"), numbers("M-1")
Mouse.insert1({"mouse_id": "M-2"})
merge_mice("M-1", "M-2")
assert {**rows("M-2"), "Mouse": 1} == before and not any(rows("M-1").values())
assert numbers("M-2") == answered
"""


def test_corrections_of_before_are_kept(old_lab: Any) -> None:
    old_lab.program(OLD_TABLE)
    old_lab.orofacial("upgrade")
    old_lab.program(CHECK)


def test_names_of_an_upgraded_lab_are_corrected(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    old_lab.program(RENAME)
