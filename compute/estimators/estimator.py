"""What an estimator must offer: the contract between the pipeline and what finds nodes in videos.

An estimator is a module or package directly inside `compute.estimators` with one object ``ESTIMATOR``, an instance of a
subclass of `EstimatorKind`. Nothing else names it: the registry finds it, and the command line, the tables, `doctor`
and the tests ask the registry.

A new estimator is one file::

    class MyKind(EstimatorKind):
        name = "my_estimator"
        summary = "what it is, for people"
        bundle_hint = "a folder with weights.bin"
        ...  # recognises, import_bundle, read_bundle, load

    ESTIMATOR = MyKind()

What the contract asks for:

- A **bundle** is a folder with all that the estimator needs beside the video, and nothing else. The hash of its files
  is the model's id, so everything that can change a result is in it: the same bundle and the same video give the same
  tracks.
- **Not known is None**, and never an empty tuple: ``training_mice=()`` says that it was trained on no mouse, and every
  mouse would count as held out.
- A **further input file** of a video (beside the video and the bundle) is found by `EstimatorKind.input_file`. The
  pipeline keeps its hash in a table before anything is computed from it, and refuses the file once it has changed.
- A model may be made from the tracks of **other models** (`EstimatorKind.combines_models`). Its bundle names them; the
  pipeline waits until all of them have tracks of a video, and hands these to `Estimator.estimate`.
- A model is shown the **pixels that it was trained on**: frames of its size (others are refused with a `ModelError`)
  and of its `BundleInfo.n_channels`, read with `compute.video.read_video_luma` or `read_video_rgb`, which turn
  them as the labeler saw them.
- Importing the module is **cheap**: heavy libraries are imported by the functions that need them, and a kind whose
  libraries are not installed is still known, with `EstimatorKind.missing` saying what to install.
"""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from numpy.typing import ArrayLike

from compute.errors import ModelError, NotInstalledError
from compute.estimators.bundle_info import BundleInfo
from compute.estimators.evaluation_results import EvaluationResult
from compute.estimators.training_results import TrainingResult
from compute.extras import describe_missing
from compute.tracks import Tracks

Device = Literal["gpu", "cpu"]
"""What an estimator wants of a machine."""

Progress = Callable[[int, int], None]
"""Called with what is done and the total: epochs while training, frames while estimating (total 0: not known)."""


class Estimator(Protocol):
    """A model that is loaded and ready for any number of videos."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that it finds."""

    @property
    def device(self) -> str:
        """What it runs on: ``cuda``, ``mps`` or ``cpu``; ``file`` if it reads what was estimated elsewhere."""

    def estimate(
        self,
        video_path: str | Path,
        *,
        time: ArrayLike | None = None,
        minimum_score: float | None = None,
        input_file: str | Path | None = None,
        members: Sequence[Tracks] = (),
        progress: Progress | None = None,
    ) -> Tracks:
        """Find all nodes in all frames of a video.

        Parameters
        ----------
        video_path : str or Path
            The video.
        time : array, shape (frame,), optional
            Time of each frame in seconds, from the camera; ``frame_index / fps`` if None.
        minimum_score : float, optional
            A node with a lower score is not found. Without it, the bundle's own.
        input_file : str or Path, optional
            The further input file of this video, see `EstimatorKind.input_file`.
        members : sequence of Tracks
            This video's tracks by each of `BundleInfo.members`, in that order; empty for a model that has none.
        progress : callable, optional
            Called with the frames done and their total.

        Returns
        -------
        Tracks
            Exactly as many rows as the video has frames. A node that was not found is NaN with score 0. The attributes
            name the ``estimator``, its ``minimum_score``, and of a further input file ``input_file`` (path) and
            ``input_file_hash`` (sha256 of the bytes that were read).
        """

    def evaluate(
        self, labels_path: str | Path, *, frames: Sequence[int] | None = None, minimum_score: float | None = None
    ) -> EvaluationResult:
        """Compare with points that a person placed, on these labeled frames of the package (all without it).

        Raises
        ------
        ModelError
            If the kind cannot estimate single images, see `EstimatorKind.can_estimate_images`.
        """


class EstimatorKind(ABC):
    """What an estimator states about itself; its module offers one instance as ``ESTIMATOR``.

    Attributes
    ----------
    name : str
        The name of its module in `compute.estimators`, which the tables keep. Never changed.
    summary : str
        What it is, in one line for people.
    bundle_hint : str
        What `import_bundle` takes, for people, such as "the folder with best.ckpt that sleap-nn trained into".
    device : {"gpu", "cpu"}
        Whether estimating wants a GPU.
    memory_gb : float
        (GB) main memory that estimating takes at most.
    minimum_score : float
        Score below which a node counts as not found, for a model that says nothing else.
    modules : tuple of str
        Python modules that it needs beside those of this project's core.
    extra : str
        The extra of this project that installs them; empty: none does.
    packages : tuple of str
        Packages whose version can change its results; every computed row records them.
    can_train : bool
        Whether it offers `train` and `training_parameters`.
    can_estimate_images : bool
        Whether it estimates single images, so that `Estimator.evaluate` can compare it with labeled frames.
    reads_input_file : bool
        Whether it needs a further file for each video, see `input_file`. A video without one has no poses to compute.
    combines_models : bool
        Whether it is made from the tracks of other models, those in `BundleInfo.members`, and offers `combine`. A video
        is computed once each of them has tracks of it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    bundle_hint: ClassVar[str]
    device: ClassVar[Device]
    memory_gb: ClassVar[float]
    minimum_score: ClassVar[float]
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    can_train: ClassVar[bool] = False
    can_estimate_images: ClassVar[bool] = False
    reads_input_file: ClassVar[bool] = False
    combines_models: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a file or folder looks like something that `import_bundle` takes.

        It looks at names and headers only, raises nothing, and needs none of `modules`. An incomplete model of this
        kind is recognised: `import_bundle` then says what is wrong with it.
        """

    @abstractmethod
    def import_bundle(
        self, source: Path, bundle_folder: Path, *, minimum_score: float | None = None, name: str = ""
    ) -> BundleInfo:
        """Make a bundle of a model that came from elsewhere.

        Parameters
        ----------
        source : Path
            A file or folder that `recognises` accepts. It is read, not altered.
        bundle_folder : Path
            Folder to create.
        minimum_score : float, optional
            Score below which a node counts as not found; without it, the kind's own.
        name : str
            What a person calls the model. A kind whose bundle cannot hold all that its results depend on (such as one
            that reads files made elsewhere) keeps it in the bundle, so that another name is another model.

        Raises
        ------
        ModelError
            If the source is incomplete or cannot be used. Nothing is created then.
        """

    @abstractmethod
    def read_bundle(self, folder: Path) -> BundleInfo:
        """Read what a bundle says about its model.

        Raises
        ------
        ModelError
            If the folder is no complete bundle of this kind.
        """

    @abstractmethod
    def load(self, folder: Path) -> Estimator:
        """Load a bundle, ready for any number of videos.

        Raises
        ------
        ModelError
            If the bundle is incomplete or cannot be loaded.
        NotInstalledError
            If `modules` are missing.
        """

    def input_file(self, video_path: Path, info: BundleInfo) -> Path | None:
        """The further file that estimating this video reads; None if it is not there, or none is read.

        Only asked of a kind that `reads_input_file`. It is found by its name alone and not read.
        """
        return None

    def combine(self, members: Mapping[str, BundleInfo], bundle_folder: Path) -> BundleInfo:
        """Make a bundle of a model that is made from the tracks of others.

        Parameters
        ----------
        members : mapping
            By their ids, what each one's own bundle says.
        bundle_folder : Path
            Folder to create. It is the same whatever the order of the members.

        Raises
        ------
        ModelError
            If these models cannot be put together, or the kind combines none. Nothing is created then.
        """
        raise ModelError(f"estimator {self.name} is not made from other models")

    def training_parameters(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of a training, as JSON can hold them: these settings, and the default of every other.

        Raises
        ------
        ModelError
            If there is no such setting, or the kind cannot train.
        """
        raise ModelError(f"estimator {self.name} cannot train; import a model with 'orofacial model import'")

    def check_training(
        self, labels_path: Path, frames: Sequence[int], parameters: Mapping[str, Any], *, seed: int
    ) -> None:
        """Refuse a training that could only fail, when it is asked for and not hours later. By default none is.

        Parameters
        ----------
        labels_path : Path
            A package (``.pkg.slp``).
        frames : sequence of int
            Indices of its labeled frames that are to be trained on.
        parameters : mapping
            As `training_parameters` gives them.
        seed : int
            Of everything random.

        Raises
        ------
        LabelsError, ModelError
            If the labels or the parameters cannot be used.
        """
        return None

    def train(
        self,
        labels_path: Path,
        parameters: Mapping[str, Any],
        *,
        seed: int,
        bundle_folder: Path,
        progress: Progress | None = None,
    ) -> TrainingResult:
        """Train a model on a package of labels, and keep it as a bundle.

        Parameters
        ----------
        labels_path : Path
            A package (``.pkg.slp``) of the frames to train on.
        parameters : mapping
            As `training_parameters` gives them.
        seed : int
            Of everything random. The same seed gives the same bundle, as far as the machine allows.
        bundle_folder : Path
            Folder to create.
        progress : callable, optional
            Called with the epochs done and their total.

        Raises
        ------
        LabelsError, ModelError
            If the labels or the parameters cannot be used, or the kind cannot train.
        """
        raise ModelError(f"estimator {self.name} cannot train; import a model with 'orofacial model import'")

    def missing(self) -> str | None:
        """What is not installed here and how to install it, in one sentence; None if everything is there."""
        return describe_missing(f"estimator {self.name}", self.modules, self.extra)

    def check_installed(self) -> None:
        """Check that it can run here.

        Raises
        ------
        NotInstalledError
            If a module is missing; the message says how to install it.
        """
        missing = self.missing()
        if missing is not None:
            raise NotInstalledError(missing)

    def runs_on(self) -> str:
        """What it would run on here: ``cuda``, ``mps``, ``cpu``, or ``file``.

        Raises
        ------
        NotInstalledError
            If `modules` are missing.
        """
        return "cpu"

    def versions(self) -> dict[str, str]:
        """Installed versions of `packages`, without those that are not installed."""
        return {name: version for name in self.packages if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
