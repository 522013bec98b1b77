"""Poses that DeepLabCut or Lightning Pose already wrote beside a video, as CSV or HDF5; no network runs here.

DeepLabCut calls its files ``<video><network>.h5`` and ``.csv`` (``sideDLC_resnet50_...``), and ``..._filtered`` what it
smoothed; Lightning Pose calls its ``<video>.csv``. A model stands for one network and one such ending of the name, so
filtered and unfiltered poses are two models. Where a video has both an ``.h5`` and a ``.csv`` of the name, the ``.h5``
is read: it has all digits.

A file's frame numbers say which frame a row is of. A frame without a row is not found: NaN with score 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import ExportError, ModelError, OrofacialError
from compute.estimators.bundle_info import BundleInfo
from compute.estimators.estimator import EstimatorKind, Progress
from compute.estimators.evaluation_results import EvaluationResult
from compute.extras import FORMATS
from compute.files import VIDEO_SUFFIXES, whole_file
from compute.json_text import json_text
from compute.tracks import Tracks

DESCRIPTION = "deeplabcut.json"
_SUFFIXES = (".h5", ".csv")

_TAKE_ONE = "Take one of them out with 'orofacial convert FILE OUTPUT --name NAME', and import that"

_IDENTITY = ("nodes", "edges", "minimum_score", "network", "ending", "revision")
"""What the description holds; its hash is the model's id."""


@dataclass(frozen=True, kw_only=True)
class DeepLabCutBundle(BundleInfo):
    """What a bundle says: `BundleInfo`, and which files it stands for.

    Parameters
    ----------
    network : str
        The scorer, as the files' first line names it.
    ending : str
        What follows the video's name in the files' names, without ``.h5`` or ``.csv``.
    revision : str
        The name that a person gave to tell these files from others of the same network; empty: none.
    """

    network: str
    ending: str
    revision: str = ""


class DeepLabCutKind(EstimatorKind):
    """Files of poses beside the videos."""

    name = "deeplabcut"
    summary = "poses that DeepLabCut or Lightning Pose wrote beside a video"
    bundle_hint = "one .h5 or .csv of poses that DeepLabCut or Lightning Pose wrote beside a video"
    device = "cpu"
    memory_gb = 1.0
    minimum_score = 0.0
    packages = ("pandas", "tables")
    modules = ("tables",)
    extra = FORMATS
    reads_input_file = True

    def recognises(self, path: Path) -> bool:
        """Whether it is a CSV or HDF5 file with x, y and likelihood of body parts."""
        from compute.formats.deeplabcut_table import KEY, read_deeplabcut_header
        from compute.formats.hdf5_group import hdf5_has

        if not path.is_file():
            return False
        if path.suffix.lower() in (".h5", ".hdf5") and self.missing() is not None:  # only its name can be looked at
            try:
                return hdf5_has(path, KEY)
            except ExportError:
                return False
        header = read_deeplabcut_header(path)
        return header is not None and header.is_of_poses

    def import_bundle(
        self, source: Path, bundle_folder: Path, *, minimum_score: float | None = None, name: str = ""
    ) -> DeepLabCutBundle:
        """Describe the network and the names of its files; no pose of the file gets into the bundle."""
        self.check_installed()
        table = _read_table(source, _read_bytes(source))
        bundle = DeepLabCutBundle(
            nodes=table.nodes,
            edges=(),
            minimum_score=self.minimum_score if minimum_score is None else minimum_score,
            network=table.scorer,
            ending=_ending(source, table.scorer),
            revision=name,
        )
        if bundle_folder.exists():
            raise ModelError(f"{bundle_folder} exists already; models are never overwritten, choose another folder")
        bundle_folder.mkdir(parents=True)
        with whole_file(bundle_folder / DESCRIPTION, ModelError) as temporary:
            content = {name: getattr(bundle, name) for name in _IDENTITY}
            temporary.write_text(json_text(content, indent=1, sort_keys=True, ascii_only=True) + "\n", encoding="utf-8")
        return bundle

    def read_bundle(self, folder: Path) -> DeepLabCutBundle:
        """Read the description."""
        try:
            content: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            content["nodes"] = tuple(content["nodes"])
            content["edges"] = tuple((source, target) for source, target in content["edges"])
            return DeepLabCutBundle(**content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{folder / DESCRIPTION} cannot be read ({error}); import the model again") from error

    def load(self, folder: Path) -> DeepLabCutEstimator:
        """Nothing is loaded but the description."""
        self.check_installed()
        return DeepLabCutEstimator(self.read_bundle(folder))

    def input_file(self, video_path: Path, info: BundleInfo) -> Path | None:
        """The file beside the video with the bundle's ending."""
        if not isinstance(info, DeepLabCutBundle):
            raise ModelError(f"{video_path}: expected the description of a bundle of {self.name}, got {info}")
        paths = [video_path.with_name(f"{video_path.stem}{info.ending}{suffix}") for suffix in _SUFFIXES]
        return next((path for path in paths if path.is_file()), None)

    def runs_on(self) -> str:
        """Nothing runs: the files are read."""
        return DeepLabCutEstimator.device


class DeepLabCutEstimator:
    """Reads the poses of one network from the file of each video.

    Parameters
    ----------
    bundle : DeepLabCutBundle
        The network and its nodes.
    """

    device = "file"

    def __init__(self, bundle: DeepLabCutBundle) -> None:
        self.bundle = bundle

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return self.bundle.nodes

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
        """Read the poses of a video's frames.

        Positions and scores are the file's numbers in single precision. A frame without a row, and a point without a
        number, is NaN with score 0. A point without a likelihood has score 0, and ``assumptions`` of the attributes
        says so.

        Parameters
        ----------
        video_path : str or Path
            The video.
        time : array, shape (frame,), optional
            Time of each frame in seconds; without it the video is decoded to count its frames.
        minimum_score : float, optional
            A point with a lower likelihood is not found. Without it, the bundle's own, which is 0 unless the import
            said otherwise.
        input_file : str or Path, optional
            The file of poses; without it, the one beside the video.
        progress : callable, optional
            Called once, with all frames.

        Raises
        ------
        ModelError
            If there is no file, or it cannot be read, is of another network, has other nodes, or a frame that the video
            does not have.
        """
        path = Path(input_file) if input_file is not None else ESTIMATOR.input_file(Path(video_path), self.bundle)
        if path is None:
            raise ModelError(
                f"{video_path} has no poses beside it: expected {Path(video_path).stem}{self.bundle.ending}.h5 or .csv"
            )
        times = _times(Path(video_path), time)
        content = _read_bytes(path)
        table = _read_table(path, content)
        self._check(path, table)
        order = [table.nodes.index(node) for node in self.nodes]
        position, score = _placed(path, table, order, len(times))
        score_limit = self.bundle.minimum_score if minimum_score is None else minimum_score
        lost = np.isnan(position[..., 0]) | (score < score_limit)
        if progress:
            progress(len(times), len(times))
        return Tracks(
            position=np.where(lost[..., None], np.nan, position),
            score=np.where(lost, 0, score),
            time=times,
            nodes=self.nodes,
            attributes={
                "estimator": ESTIMATOR.name,
                "network": self.bundle.network,
                "input_file": str(path),
                "input_file_hash": hashlib.sha256(content).hexdigest(),
                "n_frames_without_row": len(times) - len(table.frame_index),
                "minimum_score": score_limit,
                **({"assumptions": [table.assumption]} if table.assumption else {}),
            },
        )

    def evaluate(
        self, labels_path: str | Path, *, frames: Sequence[int] | None = None, minimum_score: float | None = None
    ) -> EvaluationResult:
        """Not possible: there is no network here to show an image to."""
        raise ModelError(
            f"{labels_path}: poses of {self.bundle.network} were estimated elsewhere, so its error on labeled images"
            " cannot be measured here"
        )

    def _check(self, path: Path, table: Any) -> None:
        if table.scorer != self.bundle.network:
            raise ModelError(
                f"{path} holds poses of the network {table.scorer}, expected {self.bundle.network};"
                " import it as a model of its own"
            )
        if set(table.nodes) != set(self.nodes):
            raise ModelError(
                f"{path} has the nodes {', '.join(table.nodes)}; the model has {', '.join(self.nodes)};"
                " import it as a model of its own"
            )


def _ending(source: Path, network: str) -> str:
    """What follows the video's name in a file's name.

    The video lies beside the file; of several that fit, the longest name counts.
    """
    videos = [path.stem for path in source.absolute().parent.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES]
    fitting = [stem for stem in videos if source.stem.startswith(stem)]
    if not fitting:
        raise ModelError(
            f"{source} lies beside no video whose name it begins with; expected for example side{network}.h5"
            " or side.csv beside side.mp4. Put it there, or name it so"
        )
    return source.stem.removeprefix(max(fitting, key=len))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); restore it") from error


def _read_table(path: Path, content: bytes) -> Any:
    from compute.formats.deeplabcut_table import read_deeplabcut_table

    try:
        table = read_deeplabcut_table(path, content, advice=_TAKE_ONE)
    except OrofacialError as error:
        raise ModelError(str(error)) from error
    if not len(table.frame_index):
        raise ModelError(f"{path} holds no frame; estimate the video again")
    return table


def _placed(path: Path, table: Any, order: list[int], n_frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Position (frame, node, 2) and score (frame, node) of all frames of the video."""
    from compute.formats.frame_rows import rows_by_frame

    rows = {"position": table.position[:, order], "score": table.score[:, order]}
    try:
        placed = rows_by_frame(path, table.frame_index, rows, nodes=table.nodes, n_frames=n_frames)
    except OrofacialError as error:
        raise ModelError(str(error)) from error
    return placed["position"], placed["score"]


def _times(video_path: Path, time: ArrayLike | None) -> NDArray[np.float64]:
    if time is not None:
        return np.asarray(time, np.float64)
    from compute.video import probe_video

    info = probe_video(video_path)
    if info.own_times_s is not None:
        return info.own_times_s
    return np.arange(info.n_frames) * info.fps.denominator / info.fps.numerator


ESTIMATOR = DeepLabCutKind()
