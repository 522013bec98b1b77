"""DataJoint's connection as a lab uses it: prepared again after each reconnect, read-only if asked, closed for good.

Import it after `pipeline.database.datajoint_setup.import_datajoint`, which imports DataJoint quietly.
"""

from __future__ import annotations

from typing import Any

from datajoint import Connection

from compute.errors import DatabaseError

_READ_ONLY_POSTGRESQL = "25006"
_READ_ONLY_MYSQL = 1792


class LabConnection(Connection):
    """A connection to a lab's database.

    Parameters
    ----------
    name : str
        The lab for people, such as its data folder; in error messages.
    read_only : bool
        Let the server refuse every change of tables and rows.
    *args, **options
        As of ``datajoint.Connection``.

    Attributes
    ----------
    ended : str or None
        Why the connection was closed for good; None while it can be used.
    """

    def __init__(self, *args: Any, name: str, read_only: bool, **options: Any) -> None:
        self.name = name
        self.read_only = read_only
        self.ended: str | None = None
        super().__init__(*args, **options)

    def connect(self) -> None:
        """Connect, or connect again after a loss; each time the session gets its settings.

        Raises
        ------
        DatabaseError
            If it was closed for good.
        """
        self.check_open()
        super().connect()
        for statement in self._session_settings():
            super().query(statement, reconnect=False)

    def _session_settings(self) -> list[str]:
        if self.adapter.backend == "postgresql":
            # Room for a lab's keys in memory: DataJoint's "not in" takes hours when they do not fit.
            settings = ["SET work_mem = '256MB'"]
            return [*settings, "SET default_transaction_read_only = on"] if self.read_only else settings
        return ["SET SESSION TRANSACTION READ ONLY"] if self.read_only else []

    def query(self, query: str, args: Any = (), **options: Any) -> Any:
        """Run a statement, as of ``datajoint.Connection``.

        Raises
        ------
        DatabaseError
            If the connection was closed for good, or the statement changes something and the lab is read-only.
        """
        self.check_open()
        try:
            return super().query(query, args, **options)
        except Exception as error:  # psycopg2's and pymysql's have no common base
            if self.read_only and _is_refused_change(error):
                raise self._read_only_error() from error
            raise

    def check_writable(self) -> None:
        """Refuse what is about to be written elsewhere than in the database, such as into a store.

        Raises
        ------
        DatabaseError
            If the lab is read-only.
        """
        if self.read_only:
            raise self._read_only_error()

    def _read_only_error(self) -> DatabaseError:
        return DatabaseError(
            f"the lab {self.name} was opened read-only, so that nothing in it can be changed; to change something open"
            " it with orofacial.connect(...), without read_only=True"
        )

    def end(self, reason: str) -> None:
        """Close for good: whoever still holds a table or question of this lab is told why."""
        self.ended = reason
        if self.is_connected:
            self.close()

    def check_open(self) -> None:
        """Refuse to go on after the end.

        Raises
        ------
        DatabaseError
            If the connection was closed for good; it says why.
        """
        if self.ended is not None:
            raise DatabaseError(
                f"the lab {self.name} is closed: {self.ended}. To go on with it: lab = orofacial.connect(...), and take"
                " tables from the new lab"
            )


def _is_refused_change(error: Exception) -> bool:
    code = getattr(error, "pgcode", None) or (error.args[0] if error.args else None)
    return code in (_READ_ONLY_POSTGRESQL, _READ_ONLY_MYSQL)
