"""What a database answers, as `data/make_dumps.py` asked commit 7ef26b9. Run it with the file for the answers.

Tables and modules have the names of today.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def all_answers() -> dict[str, Any]:
    """All rows and the answers to many questions of the database that is connected, as JSON can hold them.

    Returns
    -------
    dict
        ``rows``: of each table by ``module.Table`` or ``module.Table.Part``, and of job tables as ``jobs of ...``,
        sorted by primary key. Tracks, arrays, bundles and blobs stand as hashes of their content. ``answers``: each
        under its question.
    """
    rows = {}
    for name, table in _tables():
        rows[name] = sorted((_plain(row) for row in table.to_dicts()), key=_sort_key(table.primary_key))
    return {"rows": rows, "answers": {name: _plain(answer) for name, answer in _answers()}}


def _tables() -> Iterator[tuple[str, Any]]:
    """Every table with its name, then job tables."""
    import datajoint as dj

    import schemas

    classes = [
        (f"{name}.{cls.__name__}", cls)
        for name, schema in schemas.table_schemas("").items()
        for cls, _ in schema.declare_list
    ]
    for name, cls in classes:
        yield name, cls()
        for part in vars(cls).values():
            if isinstance(part, type) and issubclass(part, dj.Part):
                yield f"{name}.{part.__name__}", part()
    for name, cls in classes:
        if issubclass(cls, dj.Computed):
            yield f"jobs of {name}", cls().jobs


def _sort_key(names: list[str]) -> Any:
    return lambda row: json.dumps([row[name] for name in names])


def _answers() -> Iterator[tuple[str, Any]]:
    """Questions as keywords would be written, and what they give."""
    from pipeline import query, why
    from pipeline.query.models import describe_models
    from schemas.track import FilteredTrack, FilterMethod

    methods = tuple(sorted(FilterMethod.to_arrays("filter_method")))
    questions: dict[str, dict[str, Any]] = {
        "": {},
        "all filters": {"filter": methods},
        "mouse müller": {"mouse": "müller"},
        "held out": {"held_out": True, "camera": "side"},
        "in training": {"held_out": False, "filter": "kalman"},
        "female": {"sex": "female", "filter": "median"},
        "genotype": {"genotype": ("Cre/+", "wild type")},
        "date": {"date": ("2026-03-03", "2026-03-31")},
        "quality": {"quality": "jaw_tip.found > 0.5"},
        "restriction": {"restriction": "rig='rig 1' and px_per_mm > 10"},
    }
    for name, question in questions.items():
        for ask in (query.manifest, query.distances, query.qualities):
            yield f"{ask.__name__}: {name}", _rows_or_reason(ask, question)
    for node, camera in (("jaw_tip", "side"), ("jaw tip", "lower")):
        limits = {"minimum_speed_px_per_s": 20, "maximum_gap_s": 0.05}  # the latter as the default was
        bouts = query.bouts(node, **limits, filter=("raw", "kalman"), camera=camera)
        yield f"bouts: {node}", bouts.to_pylist()
        statement = (
            f'select mouse_id, session_date, filter_method, count("{node}_y") as n,'
            f' round(var_samp("{node}_y"), 6) as variance_px2, round(avg("{node}_x"), 6) as mean_px'
            " from tracks group by all order by all"
        )
        yield f"sql: {node}", query.ask_sql(statement, camera=camera, filter=methods).to_pylist()
    statement = "select d.*, q.fraction_found from distances d join qualities q using (mouse_id, session_date, camera,"
    statement += " session_number, model_id, filter_method) where q.node = d.node_a order by all"
    yield "sql: distances and qualities", query.ask_sql(statement, filter="median").to_pylist()
    for camera, method in itertools.product(("side", "lower"), ("raw", "kalman", "by_node")):
        restriction = {"mouse_id": "mouse01", "camera": camera, "filter_method": method}
        keys = (FilteredTrack & restriction).keys(order_by="session_date")
        yield f"why: {camera} {method}", why.why_chain(keys[0])
    yield "models", describe_models()


def _rows_or_reason(ask: Callable[..., Any], question: dict[str, Any]) -> Any:
    """Rows without the place of a file, or why there are none."""
    from pipeline.query import QueryError

    try:
        return [{name: row[name] for name in row if name != "file"} for row in ask(**question).to_pylist()]
    except QueryError as error:
        return str(error)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    from datajoint.objectref import ObjectRef

    from schemas.stored.fetching import TracksReference

    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, TracksReference):
        return _hash_of_tracks(value)
    if isinstance(value, ObjectRef):
        return _hash_of_files(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if value is None or isinstance(value, str | int):
        return value
    return _hash_of_array(np.asarray(value))


def _hash_of_array(array: NDArray[Any]) -> str:
    content = np.ascontiguousarray(array)
    return hashlib.sha256(repr((content.dtype.str, content.shape)).encode() + content.tobytes()).hexdigest()


def _hash_of_tracks(reference: Any) -> dict[str, Any]:
    tracks = reference.tracks()
    names = ("position", "score", "time", *reference.filter_columns)
    return {
        "n_frames": reference.n_frames,
        "nodes": list(reference.nodes),
        "filter_columns": list(reference.filter_columns),
        "attributes": _plain(dict(tracks.attributes)),
        **{f"hash_of_{name}": _hash_of_array(getattr(tracks, name)) for name in names},
    }


def _hash_of_files(reference: Any) -> str:
    from schemas.stored.fetching import fetch_local_copy

    digest = hashlib.sha256()
    with fetch_local_copy(reference) as found:
        for path in [found] if found.is_file() else sorted(path for path in found.rglob("*") if path.is_file()):
            digest.update(b"" if path == found else path.relative_to(found).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    import schemas
    from pipeline.database.connection import open_connection
    from pipeline.settings import load_settings

    settings = load_settings()
    schemas.activate(settings.schema_prefix, open_connection(settings))
    Path(sys.argv[1]).write_text(json.dumps(all_answers(), sort_keys=True), encoding="utf-8")
