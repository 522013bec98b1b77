"""Numbered steps that change the tables of a database that an older version made.

A step is a module ``m<NNNN>_<name>.py`` in this folder, found by its name, with

- ``DESCRIPTION``: one line for people,
- ``upgrade(database)``: changes tables and rows; `database` is a `schemas.migrations.database.MigratedDatabase`.

A table's definition and its step are changed together: a new database is made from the definitions, an old one becomes
the same by its steps. A table that is new has a step too: on a lab's server only `orofacial db init` creates tables,
and a database without the table is then an older one, which a person is told.

A step may read and insert through DataJoint's classes; what they know of a table is read anew after every change. It
neither commits nor opens a transaction: all steps together are done, or none (see `schemas.migrations.upgrade`).

The version of a database is the number of the last step that it has had. It stands in `schemas.worker.DatabaseVersion`.
"""
