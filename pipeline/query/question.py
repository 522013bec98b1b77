"""A question as one restriction of the database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date as Date
from typing import Any

from compute.measures.quality import NodeQuality
from compute.text import count_text, known_names_text, names_text
from pipeline.query.checks import QueryError, checked_days, checked_restriction, checked_texts
from pipeline.query.chosen_models import Choice, chosen_models, model_text
from schemas.making.checked_rows import EVERY
from schemas.model import Model
from schemas.pose import PoseEstimation
from schemas.session import METADATA, Camera, Session, Video
from schemas.subject import Mouse
from schemas.track import FilteredTrack, FilterMethod, TrackQuality
from schemas.training_mice import GROUP_TEXTS, NOT_KNOWN, HeldOut, restrict_to_training_group, training_group

QUALITIES = {
    one.name.removeprefix("fraction_").removeprefix("n_"): one.name for one in fields(NodeQuality) if one.name != "node"
}
"""What a condition on quality may name (``found`` ...), and the column of `TrackQuality.Node` that it means."""

TEXTS = {column.name: table for table in (Mouse, Session, Video) for column in table.metadata if column.is_text}
"""Metadata that a question may name by keyword, and the table that has the column."""

_CONDITION = re.compile(r"\s*(?P<node>.+)\.(?P<name>\w+)\s*(?P<sign><=|>=|<|>|=)\s*(?P<value>[-+.\deE]+)\s*")


@dataclass(frozen=True, kw_only=True)
class Question:
    """Selection of filtered tracks. A field that is not given restricts nothing, except `filter` and `model`.

    Attributes
    ----------
    mouse, camera : str or sequence of str, optional
        Only these.
    model : str or sequence of str, optional
        Models by their name or id, or ``all``. Without it, the deployed model of each camera: rows of a model that was
        deployed once are no part of an answer, so that no mouse counts twice. See `pipeline.query.chosen_models`.
    filter : str or sequence of str
        Rows of `FilterMethod`, such as ``raw``, ``gaussian``, ``median``, ``kalman``; ``all`` for every one.
    date : date, text such as ``2026-03-02``, or a pair of these, optional
        Day of the session, or the first and last day.
    held_out : bool or "not known", optional
        True: only mice kept from the model's training. False: only mice in its training set. ``"not known"``: only mice
        of which that is not known, since not all training mice of the model are; they are in neither of the others.
    quality : str or sequence of str, optional
        Conditions on the raw tracks, such as ``"jaw_tip.found > 0.95"``. Names are those of `QUALITIES`.
    metadata : mapping of str to (str or sequence of str)
        Only these values of columns of `TEXTS`, such as ``sex``, ``genotype`` or ``rig``; `pipeline.query.tracks` takes
        each as a keyword. For numbers and dates there is `restriction`.
    restriction : optional
        Anything that DataJoint takes as a restriction on mouse, session, video, model and track, such as
        ``"rig='left' and px_per_mm > 10"``.
    """

    mouse: str | Sequence[str] | None = None
    camera: str | Sequence[str] | None = None
    model: Choice = None
    filter: str | Sequence[str] = "raw"
    date: str | Date | Sequence[str | Date] | None = None
    held_out: HeldOut | None = None
    quality: str | Sequence[str] | None = None
    metadata: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)
    restriction: Any = None

    def __post_init__(self) -> None:
        """Check the types of the question."""
        if not (self.held_out in (None, NOT_KNOWN) or isinstance(self.held_out, bool)):
            raise QueryError(f"held_out={self.held_out!r}; expected True or False, {NOT_KNOWN!r}, or None for all")
        for column in METADATA:
            for value in checked_texts(column.name, self.metadata.get(column.name)) if column.values else ():
                if value not in column.values:  # PostgreSQL refuses to compare it
                    raise QueryError(f"no {column.name} {value!r}; known are {', '.join(column.values)}")

    def expression(self) -> Any:
        """One DataJoint expression: the tracks that fit, with what is known of mouse, session, video and model.

        Raises
        ------
        QueryError
            If a date, condition or restriction cannot be understood.
        """
        query = (
            FilteredTrack.proj(filtered_tracks="tracks")
            * PoseEstimation.proj(raw_tracks="tracks")
            * Video.proj("video_file", "n_frames", "fps_numerator", "fps_denominator", *_names(Video))
            * Session.proj(*_names(Session))
            * Mouse
            * Model.proj("estimator", "model_name", "skeleton_id")
        )
        query = query & chosen_models(self.model)
        for column, values in self._values().items():
            query = query & [{column: value} for value in values]
        if self.date is not None:
            first, last = checked_days(self.date)
            query = query & f"session_date between '{first}' and '{last}'"
        for condition in checked_texts("quality", self.quality):
            query = query & _quality(condition)
        if self.held_out is not None:
            query = restrict_to_training_group(query, self.held_out)
        return query if self.restriction is None else checked_restriction(query, self.restriction)

    def check_known(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Refuse values that the database does not know: an answer for the others would look like that for all.

        Parameters
        ----------
        found : sequence of mapping
            The rows that fit. Only values that are in none of them are looked up.

        Raises
        ------
        QueryError
            If it names a mouse without a session, or a camera, filter, genotype ... that does not exist, also beside
            others that do; the message lists those that do, the nearest first.
        """
        tables: dict[str, Any] = {"mouse_id": Session, "camera": Camera, "filter_method": FilterMethod}
        fixed = {column.name for column in METADATA if column.values}  # any may be asked for: checked above
        for column, values in self._values().items():
            there = {row.get(column) for row in found}
            for value in values:
                if value in there or column in fixed:
                    continue
                known = set((tables | TEXTS)[column].to_arrays(column))
                if value not in known:
                    raise QueryError(f"no {column} {value!r} in the database; {known_names_text(value, known)}")

    def check_any_fits(self) -> None:
        """Find out why nothing fits.

        Raises
        ------
        QueryError
            If a condition on quality names a node that does not exist; the message lists those that do. If tracks would
            fit, but it is not known whether their mice were held out.
        """
        for condition in checked_texts("quality", self.quality):
            node = _parsed(condition)["node"]
            known = sorted(set(TrackQuality.Node.to_arrays("node")))
            if known and node not in known:
                raise QueryError(f"no quality of a node {node!r} is known; nodes are {names_text(known)}")
        if isinstance(self.held_out, bool) and not self.expression():
            not_known = self.not_known_text()
            if not_known:
                group = GROUP_TEXTS[training_group(self.held_out)]
                raise QueryError(f"no track fits of a mouse that is known to be {group}; {not_known}")

    def not_known_text(self) -> str:
        """Of which tracks it is not known whether they belong to what is asked for; empty if of none."""
        if not isinstance(self.held_out, bool) or not (Model - "training_mice_known") & chosen_models(self.model):
            return ""
        rows = replace(self, held_out=NOT_KNOWN).expression().proj("model_name").to_dicts()
        if not rows:
            return ""
        models = {row["model_id"]: model_text(row) for row in rows}
        tell = " and ".join(f"'orofacial model mice {model_id} --mouse NAME'" for model_id in sorted(models))
        return (
            f"of {count_text(len(rows), 'track')} that would fit, of model {names_text(sorted(models.values()))}, it is"
            f" not known, since not all training mice of the model were told. Tell them ({tell}, with --mouse once for"
            f" each mouse), or ask for these tracks with held_out={NOT_KNOWN!r} (--held-out-not-known in a shell)"
        )

    def _values(self) -> dict[str, tuple[str, ...]]:
        columns = {"mouse": "mouse_id", "filter": "filter_method"}
        asked = {name: getattr(self, name) for name in ("mouse", "camera", "filter")} | dict(self.metadata)
        if asked["filter"] is not None and EVERY in checked_texts("filter", asked["filter"]):
            asked["filter"] = None
        return {
            columns.get(name, name): checked_texts(name, values) for name, values in asked.items() if values is not None
        }


def _names(table: Any) -> list[str]:
    return [column.name for column in table.metadata]


def _parsed(condition: str) -> re.Match[str]:
    found = _CONDITION.fullmatch(condition)
    if found is None or found["name"] not in QUALITIES:
        raise QueryError(
            f"quality {condition!r} cannot be understood; expected NODE.NAME > NUMBER such as 'jaw_tip.found > 0.95',"
            f" where NAME is one of {', '.join(QUALITIES)} and the sign one of < <= > >= ="
        )
    if re.search(r"[<>=].*\b(and|or)\b", found["node"], re.IGNORECASE):
        raise QueryError(
            f"quality {condition!r} holds several conditions; expected a list of them, which must all hold, such as"
            " ['jaw_tip.found > 0.95', 'jaw_tip.jumps < 5'] (in a shell: --quality several times)"
        )
    return found


def _quality(condition: str) -> Any:
    """Tracks whose node fulfils the condition."""
    found = _parsed(condition)
    try:
        value = float(found["value"])
    except ValueError:
        raise QueryError(f"quality {condition!r}: {found['value']!r} is no number") from None
    node = TrackQuality.Node & {"node": found["node"]} & f"{QUALITIES[found['name']]} {found['sign']} {value!r}"
    return PoseEstimation.proj() & node.proj()
