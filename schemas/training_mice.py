"""Whether a model was trained on a mouse: held out, in training, or not known.

A model whose training mice nobody told has no held-out mice: of a mouse that is not among those that are known, nothing
is known. In Python, SQL and Parquet, ``held_out`` is True, False, or None (NULL): not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import datajoint as dj

from schemas.labels import mice_of_images
from schemas.model import EnsembleMember, Model, mice_of_members

NOT_KNOWN: Literal["not known"] = "not known"

TRAINING_GROUPS = ("in training", "held out", NOT_KNOWN)
"""Groups of mice, for people. Statistics over one of them never include mice of another."""

GROUP_TEXTS = {
    "in training": "in training",
    "held out": "held out from training",
    NOT_KNOWN: "of which it is not known whether the model was trained on them",
}
"""The same behind the word mice."""

HeldOut = bool | Literal["not known"]
"""What a question may ask for."""


@dataclass(frozen=True)
class TrainingMice:
    """The mice of every model's training set, read once for many tracks.

    Parameters
    ----------
    in_training : frozenset of (str, str)
        Model and mouse.
    known : frozenset of str
        Models of which all mice are known.
    """

    in_training: frozenset[tuple[str, str]]
    known: frozenset[str]

    @classmethod
    def fetch(cls, model_id: str | None = None) -> TrainingMice:
        """Read them from the database, of one model or of all."""
        key = {} if model_id is None else {"model_id": model_id}
        pairs = zip(*(Model.Mouse & key).to_arrays("model_id", "mouse_id"), strict=True)
        known = (Model & "training_mice_known" & key).to_arrays("model_id")
        return cls(frozenset((str(model), str(mouse)) for model, mouse in pairs), frozenset(map(str, known)))

    def held_out(self, row: Mapping[str, Any]) -> bool | None:
        """Whether the mouse of a row was kept from its model's training; None: not known.

        Parameters
        ----------
        row : mapping
            With ``model_id`` and ``mouse_id``.
        """
        if (row["model_id"], row["mouse_id"]) in self.in_training:
            return False
        return True if row["model_id"] in self.known else None

    def group(self, row: Mapping[str, Any]) -> str:
        """The same as one of `TRAINING_GROUPS`."""
        return training_group(self.held_out(row))


def training_group(held_out: bool | None) -> str:
    """One of `TRAINING_GROUPS`.

    Examples
    --------
    >>> [training_group(held_out) for held_out in (False, True, None)]
    ['in training', 'held out', 'not known']
    """
    return NOT_KNOWN if held_out is None else TRAINING_GROUPS[held_out]


def restrict_to_training_group(query: Any, held_out: HeldOut) -> Any:
    """Restrict a query over models and mice to those held out, in training, or of which it is not known.

    Models are asked for first and named: each table more in a query doubles the time that a server plans it.
    """
    if held_out is False:
        return query & Model.Mouse.proj()
    known = [{"model_id": model_id} for model_id in (Model & "training_mice_known").to_arrays("model_id")]
    rest = query - Model.Mouse.proj()
    return rest & known if held_out is True else rest - known


def learn_training_mice(model_id: str | None = None) -> list[str]:
    """Add to models the mice of their training frames, as far as labels name them now.

    Parameters
    ----------
    model_id : str, optional
        Only this model; without it, all of which not all mice are known.

    Returns
    -------
    list of str
        The models that know more of their mice now.
    """
    wanted = Model & dj.AndList(["not training_mice_known", {} if model_id is None else {"model_id": model_id}])
    changed = []
    for model in wanted.proj("training_frames_known").to_dicts():
        key = {"model_id": model["model_id"]}
        frames = set((Model.Frame & key).to_arrays("image_hash"))
        named = mice_of_images(frames)
        new = set().union(*named.values()) - set((Model.Mouse & key).to_arrays("mouse_id"))
        Model.Mouse.insert([{**key, "mouse_id": mouse} for mouse in sorted(new)])
        all_known = bool(model["training_frames_known"]) and bool(frames) and set(named) == frames
        if all_known:
            Model.update1({**key, "training_mice_known": True})
        if new or all_known:
            changed.append(model["model_id"])
            tell_ensembles(model["model_id"])
    return changed


def tell_ensembles(member_id: str) -> None:
    """Give every ensemble that has this model as a member the training mice that its members have now."""
    for ensemble in (EnsembleMember & {"member_id": member_id}).to_arrays("model_id"):
        key = {"model_id": str(ensemble)}
        before = {str(mouse) for mouse in (Model.Mouse & key).to_arrays("mouse_id")}
        now = mice_of_members(map(str, (EnsembleMember & key).to_arrays("member_id")))
        for mouse in sorted(before - now.mice):
            (Model.Mouse & {**key, "mouse_id": mouse}).delete_quick()
        Model.Mouse.insert([{**key, "mouse_id": mouse} for mouse in sorted(now.mice - before)])
        Model.update1({**key, "training_mice_known": now.mice_known})
