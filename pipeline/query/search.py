"""Find tracks in the database with one SQL query. Nothing is read from the store."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datajoint.hash_registry import get_store_backend
from datajoint.storage import StorageBackend

from compute.errors import DatabaseError, LeftOutWarning
from pipeline.query.checks import QueryError, checked_texts, checked_time_span, checking_columns
from pipeline.query.chosen_models import ALL_MODELS, left_out_models, warn_of_several_models
from pipeline.query.columns import DETAILS, KEY
from pipeline.query.question import TEXTS, Question
from pipeline.query.selection import TrackSelection
from schemas.calibration import CalibratedTracksReference, CalibrationReader
from schemas.stored.fetching import TracksReference
from schemas.training_mice import NOT_KNOWN, TrainingMice

if TYPE_CHECKING:
    import pyarrow as pa

_FPS = ("fps_numerator", "fps_denominator")


def tracks(
    *,
    node: str | Sequence[str] | None = None,
    time_span_s: tuple[float | None, float | None] | None = None,
    skip_broken: bool = False,
    calibrated: bool = False,
    **question: Any,
) -> TrackSelection:
    """Find the tracks that fit, across all animals.

    Parameters
    ----------
    node : str or sequence of str, optional
        Only these nodes; tracks whose skeleton lacks one of them are left out.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s); None for an open end.
    skip_broken : bool
        Leave out tracks whose file is gone or damaged, say which (`TrackSelection.left_out`, and a warning), and go on.
        Otherwise the first of them is an error.
    calibrated : bool
        Take off each node's lasting offset, by labeled frames of the same video that the model has not seen, and give
        every point the half-width of the interval that holds the true x, and y, with 95 % probability
        (`Tracks.interval_half_width`). Without such frames nothing is taken off, and the interval is that of other
        mice that the model was not trained on; without these it is NaN: not known. See `TrackCalibration`.
    **question
        Which tracks: ``mouse``, ``camera``, ``model`` (default: the deployed one of each camera), ``filter`` (default
        ``raw``), ``date``, ``held_out``, ``quality``, ``restriction``, and the texts that are known of mouse and
        session, such as ``sex``, ``genotype`` or ``rig``; see `Question`.

    Returns
    -------
    TrackSelection
        Ordered by mouse, session, camera, model and filter.

    Raises
    ------
    QueryError
        If the filter, mouse, camera ... does not exist, no skeleton has the node, or a value cannot be understood.

    Examples
    --------
    After connecting (see README), in a database with tracks:

    >>> from pipeline import query
    >>> selection = query.tracks(node="jaw_tip", filter="median", held_out=True, quality="jaw_tip.found > 0.95")
    >>> len(selection) > 0 and all(row["held_out"] for row in selection.rows)
    True
    >>> for row, dataset in selection.to_xarray():
    ...     variance_px2 = dataset.position.sel(keypoints="jaw_tip", space="y").var()
    """
    asked = make_question(question, "node", "time_span_s", "skip_broken", "calibrated")
    nodes, span = None if node is None else checked_texts("node", node), checked_time_span(time_span_s)
    names = ("model_name", *DETAILS, *_FPS, "filtered_tracks", "raw_tracks")
    found = sorted(search_tracks(asked, asked.expression().proj(*names)), key=_order)
    held_out = search_held_out(asked)
    rows, details, references = [], [], []
    backends: dict[str | None, Any] = {}
    reader = CalibrationReader()
    for line in found:
        stored = _stored(line)
        store = stored.get("store")
        backends[store] = backends.get(store) or _backend(store)
        row = {name: line[name] for name in KEY if name != "held_out"}
        rows.append({**row, "held_out": held_out(row)})
        fps = line["fps_numerator"] / line["fps_denominator"]
        details.append({**{name: line[name] for name in DETAILS}, "fps": fps})
        reference = TracksReference(stored, backends[store])
        references.append(CalibratedTracksReference(reference, row, reader) if calibrated else reference)
    selection = TrackSelection(rows, nodes, references, details, span, skip_broken)
    return selection if nodes is None else _with_nodes(selection, nodes)


def manifest(**question: Any) -> pa.Table:
    """The same selection as `tracks`, as a table of keys and file addresses, for other engines.

    Returns
    -------
    pyarrow.Table
        A line a track: its key, ``held_out``, what is known of mouse, session, video and model, ``n_frames``,
        ``nodes``, ``file_columns``: the columns of its Parquet file, and ``file``: the whole path in a folder store,
        ``s3://bucket/key`` in S3. The list comes from the database; files are opened only with `skip_broken`.

    Raises
    ------
    QueryError
        As `tracks`, and as `TrackSelection.manifest`.
    """
    return tracks(**question).manifest()


def make_question(question: Mapping[str, Any], *beside: str) -> Question:
    """The question of a call's keywords; `beside` are those that the call has of its own.

    Raises
    ------
    QueryError
        If a keyword is unknown; the message lists those there are.
    """
    own = [name for name in Question.__dataclass_fields__ if name != "metadata"]
    unknown = [name for name in question if name not in own and name not in TEXTS]
    if unknown:
        known = ", ".join([*beside, *own, *TEXTS])
        raise QueryError(f"unknown keyword {unknown[0]!r}; what can be asked for is {known}")
    metadata = {name: values for name, values in question.items() if name in TEXTS}
    return Question(**{name: value for name, value in question.items() if name in own}, metadata=metadata)


def search_tracks(asked: Question, expression: Any) -> list[dict[str, Any]]:
    """Rows of a question's expression as the database gives them: one SQL query, and no codec opens anything.

    What only models have that are not deployed is left out with a `LeftOutWarning`, where the question names no model;
    a video on which several models are deployed is in the answer once for each, with a `SeveralModelsWarning`. Where a
    question is for held-out mice or those in training, the others of which it is not known are left out with a
    `LeftOutWarning`.

    Raises
    ------
    QueryError
        If the question names something that does not exist, or the database refuses its restriction; if nothing is
        found, and only models have it that are not deployed, or it is not known whether the mice were held out.
    """
    names = expression.heading.names
    with checking_columns(asked.expression, asked.restriction):
        found = [dict(zip(names, row, strict=True)) for row in expression.cursor().fetchall()]
    asked.check_known(found)
    if not found:
        asked.check_any_fits()
    elif not_known := asked.not_known_text():
        warnings.warn(f"left out are tracks: {not_known}", LeftOutWarning, stacklevel=3)
    if asked.model is None:
        left_out = left_out_models(found, replace(asked, model=ALL_MODELS).expression)
        if left_out and not found:
            raise QueryError(f"nothing fits: {left_out}")
        if left_out:
            warnings.warn(left_out, LeftOutWarning, stacklevel=3)
    warn_of_several_models(found, asked.model, stacklevel=3)
    return found


def _order(line: dict[str, Any]) -> tuple[Any, ...]:
    names = ("mouse_id", "session_date", "session_number", "camera", "model_id", "filter_method")
    return tuple(line[name] for name in names)


def search_held_out(asked: Question) -> Callable[[Mapping[str, Any]], bool | None]:
    """Whether a row's mouse was held out; asked of the database unless the question already says it."""
    if asked.held_out is None:
        return TrainingMice.fetch().held_out
    value = None if asked.held_out == NOT_KNOWN else asked.held_out is True
    return lambda row: value


def _stored(line: dict[str, Any]) -> dict[str, Any]:
    """The reference to a row's file; a raw track uses the file of the estimation."""
    stored = line["filtered_tracks"] if line["filtered_tracks"] is not None else line["raw_tracks"]
    result: dict[str, Any] = json.loads(stored) if isinstance(stored, (str, bytes)) else stored
    return result


def _backend(store: str | None) -> StorageBackend:
    try:
        return get_store_backend(store)
    except FileNotFoundError as error:
        raise DatabaseError(
            f"the folder of the store {store!r} is missing ({error}). Put it back, such as from a backup, or say where"
            " it is in settings.toml or DataJoint's configuration"
        ) from error


def _with_nodes(selection: TrackSelection, nodes: tuple[str, ...]) -> TrackSelection:
    """Leave out tracks that lack a node."""
    kept = [index for index, reference in enumerate(selection.references) if set(nodes) <= set(reference.nodes)]
    if selection.rows and not kept:
        names = sorted({name for reference in selection.references for name in reference.nodes})
        raise QueryError(f"no skeleton has all of {', '.join(nodes)}; nodes are {', '.join(names)}")
    return selection.pick(kept)
