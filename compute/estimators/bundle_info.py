"""What a bundle says of its model: nodes, frame size, and the frames and mice that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BundleTrainingFrame:
    """A labeled frame that a model was trained on.

    Parameters
    ----------
    path : str
        The video or image, as the model's files name it; its folder may name the session.
    frame_index : int
        Index of the frame in the video, from 0; 0 for an image.
    image_hash : str or None
        Identity of the frame, the hash of its image; None: the image was not there to be read.
    """

    path: str
    frame_index: int
    image_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """What a bundle says about its model. None stands for "not known", and nothing else does.

    Parameters
    ----------
    nodes : tuple of str
        Names of the nodes, in the order of the model's outputs.
    edges : tuple of (str, str)
        Pairs of nodes that are drawn connected; empty: there are none.
    minimum_score : float
        Score below which a node counts as not found.
    width_px, height_px : int or None
        Size of the frames that it was trained on.
    n_channels : int or None
        Channels of those frames: 1 is gray, 3 is color. It is shown frames of so many.
    n_training_frames : int or None
        Number of labeled frames that it was fitted to.
    training_frames : tuple of TrainingFrame or None
        Every frame that it has seen in training, validation frames included. Empty: it was trained on none.
    training_mice : tuple of str or None
        The mice in those frames. Empty: it was trained on no mouse.
    members : tuple of str
        Ids of other models whose tracks of a video it is made from, see `EstimatorKind.combines_models`.
    versions : dict of str to str
        Versions of the packages that made it.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    minimum_score: float
    width_px: int | None = None
    height_px: int | None = None
    n_channels: int | None = None
    n_training_frames: int | None = None
    training_frames: tuple[BundleTrainingFrame, ...] | None = None
    training_mice: tuple[str, ...] | None = None
    members: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
