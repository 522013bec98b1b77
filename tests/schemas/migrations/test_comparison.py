"""What `orofacial doctor` finds where tables are not as they are defined."""

from __future__ import annotations

from pipeline.doctor import doctor_checks
from pipeline.settings import Settings
from schemas import worker
from schemas.migrations.comparison import table_differences
from schemas.migrations.database import MigratedDatabase


def test_differences_are_named_one_by_one(database: Settings) -> None:
    connection, prefix = worker.Worker.connection, database.schema_prefix
    assert table_differences(prefix, connection) == []
    changed = MigratedDatabase(connection, prefix)
    task = changed.table("model", "training_task")
    changed.add_column("subject", "mouse", "weight_g=null : float64  # (g)")
    changed.execute(f"ALTER TABLE {changed.table('session', 'video')} DROP COLUMN px_per_mm")
    changed.execute(f"DROP TABLE {changed.table('worker', 'crash')}")
    changed.execute(f"DROP TABLE {changed.table('track', '~~filtered_track')}")
    changed.execute(f"ALTER TABLE {task} ALTER fraction_held_out TYPE real, ALTER fraction_held_out SET DEFAULT 0.3")
    changed.execute(f"COMMENT ON COLUMN {task}.fraction_held_out IS ':float64:of the frames'")
    changed.execute(f"ALTER TABLE {changed.table('session', 'session')} ALTER rig DROP NOT NULL")
    found = table_differences(prefix, connection)
    assert sorted(found) == sorted(
        [
            "table Mouse: column weight_g is not in the definition",
            "table Video: column px_per_mm is missing",
            f"table Crash ({prefix}worker.crash) is missing",
            f"the job table of FilteredTrack ({prefix}track.~~filtered_track) is missing",
            "table TrainingTask: column fraction_held_out: type is 'real', defined 'doubleprecision'",
            "table TrainingTask: column fraction_held_out: default is '0.3', defined '0.2'",
            "table TrainingTask: column fraction_held_out: comment is 'of the frames', defined 'of the labeled frames,"
            " kept from training to measure the error'",
            "table Session: column rig: nullable is True, defined False",
        ]
    )
    (check,) = [check for check in doctor_checks(database) if check.name == "tables"]
    assert not check.ok and "px_per_mm is missing" in check.found and check.advice
