"""The list of computed tables: each stands after those that it needs, as the database has them."""

from __future__ import annotations

import schemas
from pipeline.settings import Settings


def test_each_table_stands_after_those_that_it_needs(database: Settings) -> None:
    names = [table.full_table_name for table in schemas.tables.computed_tables()]
    for index, table in enumerate(schemas.tables.computed_tables()):
        assert not set(table().parents()) & set(names[index:])
    assert len(names) == len(set(names)) > 0


def test_each_table_has_a_queue_of_jobs(database: Settings) -> None:
    for table in schemas.tables.computed_tables():
        assert table.jobs.is_declared
