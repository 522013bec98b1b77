"""Groups of mice: in a model's training set, held out from it, or not known."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.model import Model

IN_TRAINING, HELD_OUT, NOT_KNOWN = GROUPS = ("in training", "held out", "not known")
"""Not known: not all mice that the model was trained on are known, and this one is not among them."""


GROUP_TEXTS = {
    IN_TRAINING: "in training",
    HELD_OUT: "held out from training",
    NOT_KNOWN: "that may be in training or held out",
}


@dataclass(frozen=True)
class MouseGroups:
    """Which mice each model was trained on.

    Parameters
    ----------
    in_training : frozenset of (str, str)
        Model and mouse.
    known : frozenset of str
        Models of which all training mice are known.
    """

    in_training: frozenset[tuple[str, str]]
    known: frozenset[str]

    def group(self, model_id: str, mouse_id: str | None) -> str:
        """One of `GROUPS`; a labeled frame whose mouse is None is of no known mouse."""
        if mouse_id is not None and (model_id, mouse_id) in self.in_training:
            return IN_TRAINING
        return HELD_OUT if mouse_id is not None and model_id in self.known else NOT_KNOWN


def fetch_mouse_groups() -> MouseGroups:
    """The groups of mice as the database has them."""
    pairs = Model.Mouse.to_arrays("model_id", "mouse_id")
    known = (Model & "training_mice_known = 1").to_arrays("model_id")
    return MouseGroups(frozenset(zip(*map(list, pairs), strict=True)), frozenset(map(str, known)))
