"""Pose estimators: one module each, behind one small protocol.

A module offers ``train(labels_path, config, *, seed, bundle_folder, progress) -> TrainedModel`` and
``load(bundle_folder) -> Estimator``. A bundle is a folder with all that estimating needs, and nothing else.
Importing these modules is cheap; the heavy libraries are imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import ArrayLike

from compute.errors import ModelError
from compute.tracks import Tracks

Progress = Callable[[int, int], None]
"""Called with what is done and the total: epochs while training, frames while estimating (total 0: not known)."""

MINIMUM_SCORE = 0.2
"""Score below which a node counts as not found, for a model that says nothing else; SLEAP's own default."""


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
    score_exponent : float or None
        How the precision of a point goes with its score, see `compute.filters.score_noise`; None: too few points.
    """

    n_frames: int
    overall: NodeError
    nodes: dict[str, NodeError]
    score_exponent: float | None = None


class Estimator(Protocol):
    """A model that is loaded and ready for any number of videos."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that it finds."""

    @property
    def device(self) -> str:
        """What the network runs on: ``cuda``, ``mps`` or ``cpu``."""

    def estimate(
        self,
        video_path: str | Path,
        *,
        time: ArrayLike | None = None,
        minimum_score: float | None = None,
        progress: Progress | None = None,
    ) -> Tracks:
        """Find all nodes in all frames of a video; the tracks have exactly as many frames as the video."""

    def evaluate(
        self, labels_path: str | Path, *, frames: Sequence[int] | None = None, minimum_score: float | None = None
    ) -> Evaluation:
        """Compare with points that a person placed, on these labeled frames of the package (all without it)."""


def by_name(name: str) -> Any:
    """Import the module of an estimator, such as ``sleap``.

    Raises
    ------
    ModelError
        If there is no such estimator.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    if name not in names:
        raise ModelError(f"no estimator {name!r}; there are {', '.join(names)}")
    return importlib.import_module(f"compute.estimators.{name}")
