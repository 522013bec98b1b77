"""What estimators say: what a bundle knows of its model, what training made, how large the errors are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingFrame:
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
        Channels of those frames: 1 is gray, 3 is color.
    n_training_frames : int or None
        Number of labeled frames that it was fitted to.
    training_frames : tuple of TrainingFrame or None
        Every frame that it has seen in training, validation frames included. Empty: it was trained on none.
    training_mice : tuple of str or None
        The mice in those frames. Empty: it was trained on no mouse.
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
    training_frames: tuple[TrainingFrame, ...] | None = None
    training_mice: tuple[str, ...] | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """Losses of one pass over the training frames.

    Parameters
    ----------
    epoch : int
        From 0.
    training_loss, validation_loss : float
        Mean squared difference of confidence maps, on training frames and on frames kept for choosing the best epoch.
    """

    epoch: int
    training_loss: float
    validation_loss: float


@dataclass(frozen=True)
class TrainedModel:
    """What training made.

    Parameters
    ----------
    bundle_folder : Path
        The bundle: weights and all that estimating needs.
    n_training_frames, n_validation_frames : int
        Frames that the weights were fitted to, and frames that chose the best epoch.
    history : tuple of Epoch
        Losses, epoch by epoch.
    """

    bundle_folder: Path
    n_training_frames: int
    n_validation_frames: int
    history: tuple[Epoch, ...]


@dataclass(frozen=True)
class NodeError:
    """Distances between estimated and placed points of one node.

    Parameters
    ----------
    n : int
        Placed points that the model found too.
    n_missed : int
        Placed points that the model did not find; they are in none of the distances.
    p50_px, p90_px, mean_px : float
        Median, 90th percentile and mean of the distance in pixels; NaN if nothing was found.
    """

    n: int
    n_missed: int
    p50_px: float
    p90_px: float
    mean_px: float


@dataclass(frozen=True)
class Evaluation:
    """Errors of a model on labeled frames.

    Parameters
    ----------
    n_frames : int
        Number of labeled frames.
    overall : NodeError
        Over all points of all nodes.
    nodes : dict of str to NodeError
        For each node of the labels.
    error_px : array, shape (frame, node), float64
        Distance of each point in pixels, frames in the order of the evaluation, nodes in that of `nodes`; inf: placed
        but not found; NaN: not placed.
    score_exponent : float or None
        How the precision of a point goes with its score, see `compute.filters.score_noise`; None: too few points.
    """

    n_frames: int
    overall: NodeError
    nodes: dict[str, NodeError]
    error_px: NDArray[np.float64]
    score_exponent: float | None = None
