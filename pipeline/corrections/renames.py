"""Correct the name of a mouse, a session or a camera: nothing is computed anew, and every result goes along."""

from __future__ import annotations

from typing import Any

from compute.text import count_text, session_text
from ingest.correction_history import (
    CAMERA,
    MERGED_MOUSE,
    MOUSE_NAME,
    SESSION_NAME,
    correction_line,
    insert_correction,
)
from ingest.session_names import SessionName
from ingest.training_mice import move_training_frames
from pipeline.corrections.checks import (
    added_metadata,
    check_fits_mouse,
    check_mouse,
    check_mouse_name,
    check_new_camera,
    check_new_session,
    check_start,
    no_mouse_text,
    refuse_colliding_sessions,
    sessions_of,
)
from pipeline.corrections.keys import CorrectionError, change_key, correct, update_columns
from schemas.labels import LabeledFrames
from schemas.model import Model
from schemas.session import Camera, Session, Video
from schemas.subject import Mouse

Row = dict[str, Any]

_NO_NUMBER = -1
"""Of a session on its way to another name; no folder has it."""
_NO_CAMERA = "(on its way)"
"""Of a video on its way to another camera."""


def rename_mouse(mouse: str, new_name: str, *, reason: str = "", dry_run: bool = False) -> str:
    """Give a mouse another name.

    Parameters
    ----------
    mouse, new_name : str
        Its name, and the right one.
    reason : str
        Why; kept in `Correction`.
    dry_run : bool
        Check and say everything, change nothing.

    Returns
    -------
    str
        What was done, for people.

    Raises
    ------
    CorrectionError
        If there is no such mouse, the new name is none, or another mouse has it. Nothing is changed then.
    """

    def act() -> str:
        check_mouse(mouse)
        check_mouse_name(new_name, mouse)
        others = set(map(str, (Mouse & {"mouse_id": new_name}).to_arrays("mouse_id"))) - {mouse}
        if new_name == mouse:
            raise CorrectionError(f"mouse {mouse} has this name already; expected another name")
        if others:
            raise CorrectionError(
                f"there is a mouse {new_name} already, so that {mouse} was not renamed; expected a name that no mouse"
                f" has. If both are one mouse: orofacial mice merge {mouse} {new_name}"
            )
        n_sessions = len(Session & {"mouse_id": mouse})
        change_key(Mouse, {"mouse_id": mouse}, {"mouse_id": new_name})
        insert_correction([correction_line({"mouse_id": mouse}, MOUSE_NAME, mouse, new_name)], reason)
        return f"mouse {mouse} is {new_name} now: {count_text(n_sessions, 'session')}, with every result"

    return correct(act, dry_run=dry_run)


def merge_mice(mouse: str, into: str, *, reason: str = "", dry_run: bool = False) -> str:
    """Make one mouse of two that are one: the sessions and training sets of the first become the second's.

    Parameters
    ----------
    mouse, into : str
        The name that goes, and the one that stays.
    reason, dry_run
        As of `rename_mouse`.

    Raises
    ------
    CorrectionError
        If sessions of both have the same date and number, or different things are known of the two.
    SessionError
        If one mouse would be in two sessions at a time, or not born when one was recorded. Nothing is changed then.
    """

    def act() -> str:
        for one in (mouse, into):
            check_mouse(one)
        if mouse == into:
            raise CorrectionError(f"{mouse} and {into} are one mouse already; expected two names")
        sessions = sessions_of(mouse)
        refuse_colliding_sessions(mouse, into, sessions)
        added = added_metadata(mouse, into)
        birth = {**(Mouse & {"mouse_id": into}).fetch1(), **added}["date_of_birth"]
        for name in sessions:
            check_fits_mouse(name, SessionName(into, name.session_date, name.session_number), birth)
        _move_to_mouse(mouse, into)
        if added:
            Mouse.update1({"mouse_id": into, **added})
        lines = [
            correction_line(name.key, SESSION_NAME, name, SessionName(into, name.session_date, name.session_number))
            for name in sessions
        ]
        lines.append(correction_line({"mouse_id": mouse}, MERGED_MOUSE, mouse, into))
        lines += [correction_line({"mouse_id": into}, column, None, value) for column, value in added.items()]
        insert_correction(lines, reason)
        said = "".join(f"; {column} of {into} is {value} now" for column, value in added.items())
        return f"mouse {mouse} is {into} now: {count_text(len(sessions), 'session')}, with every result{said}"

    return correct(act, dry_run=dry_run)


def move_session(
    key: Row,
    name: SessionName,
    *,
    new_mouse: bool = False,
    swap: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> str:
    """Give a session another date, number or mouse.

    Labeled frames whose file names the session follow it, and so do the training mice of models that saw them.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.
    name : SessionName
        The right name.
    new_mouse : bool
        Make the mouse if there is none of that name.
    swap : bool
        Two sessions have each other's name: exchange them.
    reason, dry_run
        As of `rename_mouse`.

    Raises
    ------
    CorrectionError
        If there is a session of the new name (or, to be swapped, none), or no such mouse.
    SessionError
        If what is known of the session or its mouse contradicts the new name. Nothing is changed then.
    """
    before = SessionName.of(key)

    def act() -> str:
        check_new_session(before, name, swap=swap)
        known = Mouse & {"mouse_id": name.mouse_id}
        if not known and not new_mouse:
            raise CorrectionError(f"{no_mouse_text(name.mouse_id)}. If it is a new one, say so with --new-mouse")
        if not known:
            check_mouse_name(name.mouse_id)
            Mouse.insert1({"mouse_id": name.mouse_id})
        moves = [(before, name), (name, before)] if swap else [(before, name)]
        for old, new in moves:
            check_start(old, new)
            birth = (Mouse & {"mouse_id": new.mouse_id}).fetch1("date_of_birth")
            check_fits_mouse(old, new, birth, leaving=[moved for moved, _ in moves])
        frames = {old: _label_images(old) for old, _ in moves}
        if swap:
            aside = SessionName(before.mouse_id, before.session_date, _NO_NUMBER)
            for old, new in ((before, aside), (name, before), (aside, name)):
                _move_one(old, new)
        else:
            _move_one(before, name)
        models = [
            model
            for old, new in moves
            if old.mouse_id != new.mouse_id
            for model in move_training_frames(frames[old], old.mouse_id, new.mouse_id)
        ]
        insert_correction([correction_line(old.key, SESSION_NAME, old, new) for old, new in moves], reason)
        said = f"; the training mice of model {', '.join(sorted(set(models)))} follow" if models else ""
        return "; ".join(f"session {old} is {new} now, with every result" for old, new in moves) + said

    return correct(act, dry_run=dry_run)


def assign_camera(
    key: Row, camera: str, new_camera: str, *, swap: bool = False, reason: str = "", dry_run: bool = False
) -> str:
    """Say which camera filmed a video, where that was wrong.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.
    camera, new_camera : str
        What it was said to be, and the right one.
    swap : bool
        Two videos of the session have each other's camera: exchange them.
    reason, dry_run
        As of `rename_mouse`.

    Raises
    ------
    CorrectionError
        If there is no such video or camera, or the session has a video of the new camera (or, to be swapped, none).
    """
    session = {name: key[name] for name in Session.primary_key}

    def act() -> str:
        check_new_camera(session, camera, new_camera, swap=swap)
        moves = [(camera, new_camera), (new_camera, camera)] if swap else [(camera, new_camera)]
        steps = [(camera, _NO_CAMERA), (new_camera, camera), (_NO_CAMERA, new_camera)] if swap else moves
        if swap:
            Camera.insert1({"camera": _NO_CAMERA})
        for old, new in steps:
            change_key(Video, {**session, "camera": old}, {**session, "camera": new})
        if swap:
            (Camera & {"camera": _NO_CAMERA}).delete_quick()
        lines = [correction_line(session, CAMERA, old, new, camera=old) for old, new in moves]
        insert_correction(lines, reason)
        said = "; ".join(f"video {session_text(session)}/{old} is of camera {new} now" for old, new in moves)
        return (
            f"{said}. Tracks that models of another camera made stay, and are shown where a question names the model;"
            " those of the deployed model of its camera are computed by the next populate"
        )

    return correct(act, dry_run=dry_run)


def _move_to_mouse(mouse: str, into: str) -> None:
    """Let all that refers to one mouse refer to another, and delete the first."""
    old, new = {"mouse_id": mouse}, {"mouse_id": into}
    models = set((Model.Mouse & old).to_arrays("model_id")) - set((Model.Mouse & new).to_arrays("model_id"))
    Model.Mouse.insert([{"model_id": model, **new} for model in sorted(models)])
    (Model.Mouse & old).delete_quick()
    change_key(Mouse, old, new, merge=True)
    (Mouse & old).delete_quick()


def _sources(name: SessionName) -> Row:
    """A session as labeled frames name it."""
    return {
        "mouse_id": name.mouse_id,
        "source_date": name.session_date,
        "source_number": name.session_number,
    }


def _label_images(name: SessionName) -> list[str]:
    return list(map(str, (LabeledFrames.Source & _sources(name)).to_arrays("image_hash")))


def _move_one(old: SessionName, new: SessionName) -> None:
    change_key(Session, old.key, new.key)
    update_columns(LabeledFrames.Source().full_table_name, _sources(old), _sources(new))
