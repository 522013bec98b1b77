"""The tables. Call `activate` with a connection before using them."""

from __future__ import annotations

from typing import Any

from schemas import codecs, labels, metric, model, pose, session, subject, track

_MODULES = (subject, session, labels, model, pose, track, metric)

__all__ = ["activate", "codecs", "labels", "metric", "model", "pose", "session", "subject", "track"]


def activate(prefix: str, connection: Any) -> None:
    """Bind every table to the database schema `<prefix><module>`, creating what is missing.

    Parameters
    ----------
    prefix : str
        Start of the schemas' names, such as ``orofacial_``.
    connection : datajoint.Connection
        Where the schemas live. Activating again, also elsewhere, binds the tables anew.
    """
    for module in _MODULES:
        schema = module.schema
        if schema.database == prefix + _name(module) and schema.connection is connection:
            continue
        schema.database = None
        schema.activate(prefix + _name(module), connection=connection)


def _name(module: Any) -> str:
    return str(module.__name__.rpartition(".")[2])
