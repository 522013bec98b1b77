"""What a training made: the bundle, and the losses epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingEpoch:
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
class TrainingResult:
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
    history: tuple[TrainingEpoch, ...]
