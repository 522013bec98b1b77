"""What a model was trained on, and which labeled frames a training uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compute.errors import LabelsError
from schemas.labels import LabeledFrames, mice_of_images


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on, as far as it is known.

    Parameters
    ----------
    mice : frozenset of str
        Rows of `Mouse`.
    frames : frozenset of str
        Hashes of the labeled frames' images.
    mice_known, frames_known : bool
        Whether these are all.
    """

    mice: frozenset[str] = frozenset()
    frames: frozenset[str] = frozenset()
    mice_known: bool = False
    frames_known: bool = False

    def with_mice_of_frames(self) -> TrainedOn:
        """The same with the mice that labels name for the frames."""
        named = mice_of_images(self.frames)
        all_named = self.frames_known and bool(self.frames) and set(named) == self.frames
        mice = self.mice.union(*named.values())
        return replace(self, mice=mice, mice_known=self.mice_known or all_named)


@dataclass(frozen=True)
class TrainingSplit:
    """Which labeled frames a training uses.

    Parameters
    ----------
    training, held_out : list of int
        Indices of labeled frames, from 0 in the order of the package.
    trained_on : TrainedOn
        What the training frames show.
    """

    training: list[int]
    held_out: list[int]
    trained_on: TrainedOn


def split_for_training(labels_id: str, split_by: str, fraction_held_out: float, seed: int) -> TrainingSplit:
    """Split labeled frames into those to train on and those held out, always the same for one seed.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.
    split_by : {"frame", "mouse"}
        Whether single frames are held out, or mice with all of their frames. The same image is on one side only.
    fraction_held_out : float
        Fraction of frames or mice, between 0 and 1; at least one is held out and one trained on.
    seed : int
        Seed of the random choice.

    Raises
    ------
    LabelsError
        If there are fewer than two frames or mice, or a frame of no known mouse is to be split by mouse.
    """
    from compute.labels import split_labeled_indices

    sources = (LabeledFrames.Source & {"labels_id": labels_id}).to_dicts(order_by="labeled_frame_index")
    mice = {row["mouse_id"] for row in sources}
    if split_by == "mouse" and (None in mice or len(mice) < 2):
        n_unknown = sum(row["mouse_id"] is None for row in sources)
        named = ", ".join(sorted(mouse for mouse in mice if mouse is not None)) or "none"
        raise LabelsError(
            f"labels {labels_id} cannot be split by mouse: they have frames of {named}, and {n_unknown} of no known"
            " mouse; that takes two mice or more and the mouse of every frame. Split by frame, or label other mice too"
        )
    groups = [row["image_hash" if split_by == "frame" else "mouse_id"] for row in sources]
    training, held_out = split_labeled_indices(groups, fraction_held_out, seed)
    used = [sources[index] for index in training]
    trained_on = TrainedOn(
        mice=frozenset(row["mouse_id"] for row in used if row["mouse_id"] is not None),
        frames=frozenset(row["image_hash"] for row in used),
        mice_known=all(row["mouse_id"] is not None for row in used),
        frames_known=True,
    )
    return TrainingSplit(training, held_out, trained_on)
