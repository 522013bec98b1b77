"""The tables of one lab as attributes of one object."""

from __future__ import annotations

from typing import Any

from datajoint import Part

import schemas


class LabTables:
    """The tables of one lab, by the names of their classes: ``Mouse``, ``Session``, ``FilteredTrack`` ...

    The classes of ``schemas`` are bound to the lab that was opened last. These stay bound to this lab: once it is
    closed their use is an error, and never gives another lab's rows.

    Parameters
    ----------
    connection : datajoint.Connection
        The lab's, to which the classes of ``schemas`` are bound at this moment.

    Raises
    ------
    AttributeError
        If there is no such table; the message lists those there are.
    """

    def __init__(self, connection: Any) -> None:
        self._tables = {table.__name__: _bound(table, connection) for table in schemas.all_tables()}

    def __getattr__(self, name: str) -> Any:
        tables = self.__dict__.get("_tables", {})
        if name not in tables:
            raise AttributeError(f"there is no table {name}; tables are {', '.join(sorted(tables))}")
        return tables[name]

    def __dir__(self) -> list[str]:
        return sorted(self._tables)

    def __repr__(self) -> str:
        return f"LabTables({', '.join(dir(self))})"


def _bound(table: Any, connection: Any) -> Any:
    """A subclass of a table that stays where the table is bound now, with its parts."""
    binding = {
        name: getattr(table, name) for name in ("database", "_heading", "_support", "_jobs") if hasattr(table, name)
    }
    names = {name: getattr(table, name) for name in ("__module__", "__qualname__", "__doc__")}
    bound = type(table)(table.__name__, (table,), {**names, **binding, "_connection": connection})
    for name, part in vars(table).items():
        if isinstance(part, type) and issubclass(part, Part):
            bound_part = _bound(part, connection)
            bound_part._master = bound
            setattr(bound, name, bound_part)
    return bound
