"""Correct which mice a model was trained on, where a person told it wrongly; what was told before is kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from compute.errors import ModelError
from ingest.correction_history import NameHistory
from ingest.deployment import camera_of_model
from ingest.mice_without_session import mice_without_session
from schemas.model import EnsembleMember, Model, TrainingMiceCorrection
from schemas.subject import Mouse
from schemas.trained_on import TrainedOn
from schemas.training_mice import tell_ensembles


@dataclass(frozen=True)
class CorrectedTrainingMice:
    """The mice of a model's training set, before and now; `known`: these are all of them.

    `mice_without_session` are those that a person named and of which no session is here, each with the known names that
    are near.
    """

    model_id: str
    mice_before: tuple[str, ...]
    mice_known_before: bool
    mice: tuple[str, ...]
    mice_known: bool
    mice_without_session: dict[str, list[str]]

    @property
    def is_changed(self) -> bool:
        """Whether anything was corrected."""
        return (self.mice_before, self.mice_known_before) != (self.mice, self.mice_known)


def correct_training_mice(model_id: str, mice: Collection[str] | None) -> CorrectedTrainingMice:
    """Say anew which mice a model was trained on. Held-out mice follow in every query at once.

    Parameters
    ----------
    model_id : str
        A row of `Model`.
    mice : collection of str or None
        All mice in its training set; None: not known, except those that its labeled frames name.

    Raises
    ------
    ModelError
        If there is no such model, its labeled frames name other mice, or it is an ensemble, whose mice are those of its
        members. Nothing is changed then.
    """
    camera_of_model(model_id)
    key = {"model_id": model_id}
    members = (EnsembleMember & key).to_arrays("member_id", order_by="member_id")
    if len(members):
        raise ModelError(
            f"model {model_id} is an ensemble: its training mice are those of its members. Correct these:"
            f" {', '.join(members)}"
        )
    known_before, frames_known = (
        bool(one) for one in (Model & key).fetch1("training_mice_known", "training_frames_known")
    )
    before = {str(mouse) for mouse in (Model.Mouse & key).to_arrays("mouse_id")}
    frames = frozenset((Model.Frame & key).to_arrays("image_hash"))
    of_frames = TrainedOn(frames=frames, frames_known=frames_known).with_mice_of_frames()
    now = set(of_frames.mice if mice is None else map(NameHistory.fetch().mouse_now, mice))
    _check_frames(model_id, of_frames, now)
    known = of_frames.mice_known or mice is not None
    mice_before, mice_now = tuple(sorted(before)), tuple(sorted(now))
    unknown = mice_without_session(mice or ())
    corrected = CorrectedTrainingMice(model_id, mice_before, known_before, mice_now, known, unknown)
    if corrected.is_changed:
        with Model.connection.transaction:
            Mouse.insert([{"mouse_id": mouse} for mouse in sorted(now)], skip_duplicates=True)
            _change_training_mice(model_id, before, now, known_before, known)
    return corrected


def move_training_frames(image_hashes: Collection[str], mouse: str, new_mouse: str) -> list[str]:
    """Let models follow whose training frames are of another mouse than labels said.

    The mouse that was wrong stays in a model's training set unless its frames are all known, and none is of that mouse.

    Parameters
    ----------
    image_hashes : collection of str
        The frames' images, for which the labels name the right mouse already.
    mouse, new_mouse : str
        The mouse that they were said to be of, and the right one.

    Returns
    -------
    list of str
        The models whose training mice are others now.
    """
    trained = {str(one) for one in (Model.Frame & [{"image_hash": one} for one in image_hashes]).to_arrays("model_id")}
    changed = []
    for model_id in sorted(trained if image_hashes else ()):
        key = {"model_id": model_id}
        if EnsembleMember & key:
            continue  # its members' mice count
        known, frames_known = (
            bool(one) for one in (Model & key).fetch1("training_mice_known", "training_frames_known")
        )
        before = {str(one) for one in (Model.Mouse & key).to_arrays("mouse_id")}
        frames = frozenset((Model.Frame & key).to_arrays("image_hash"))
        of_frames = TrainedOn(frames=frames, frames_known=frames_known).with_mice_of_frames()
        is_gone = of_frames.mice_known and mouse not in of_frames.mice
        now = (before | {new_mouse}) - ({mouse} if is_gone else set())
        if now != before:
            _change_training_mice(model_id, before, now, known, known)
            changed.append(model_id)
    return changed


def _change_training_mice(model_id: str, before: set[str], now: set[str], known_before: bool, known: bool) -> None:
    """Change the mice of a model's training set, in a transaction; what was is kept."""
    key = {"model_id": model_id}
    for mouse in sorted(before - now):
        (Model.Mouse & {**key, "mouse_id": mouse}).delete_quick()
    Model.Mouse.insert([{**key, "mouse_id": mouse} for mouse in sorted(now - before)])
    Model.update1({**key, "training_mice_known": known})
    tell_ensembles(model_id)
    number = max([0, *(TrainingMiceCorrection & key).to_arrays("correction_number")])
    TrainingMiceCorrection.insert1(
        {
            **{**key, "correction_number": number + 1, "mice_before": sorted(before)},
            **{"mice_known_before": known_before, "mice_after": sorted(now), "mice_known_after": known},
        }
    )


def _check_frames(model_id: str, of_frames: TrainedOn, now: set[str]) -> None:
    """Refuse mice that contradict the labeled frames that the model was trained on."""
    if not of_frames.mice <= now or (of_frames.mice_known and now != of_frames.mice):
        only = " and no others" if of_frames.mice_known else ""
        raise ModelError(
            f"model {model_id}: the labeled frames that it was trained on are of {', '.join(sorted(of_frames.mice))}"
            f"{only}, --mouse says {', '.join(sorted(now))}; the labels count. Name those mice, or if the labels are"
            " wrong, delete them (orofacial labels delete) and import them with the right mouse"
        )
