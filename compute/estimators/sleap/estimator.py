"""A SLEAP model that is loaded, and finds the nodes in videos."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import LabelsError, ModelError, VideoError
from compute.estimators.estimator import Progress
from compute.estimators.evaluation_results import EvaluationResult, NodeEvaluation
from compute.estimators.sleap.bundle import read_bundle
from compute.estimators.sleap.runtime import choose_runtime_device, sleap_nn_runtime, use_runtime_memory_format
from compute.filters.score_noise import fit_score_exponent
from compute.labels import labeled_images, labeled_positions, labeled_skeleton, load_package
from compute.tracks import Tracks
from compute.video import read_video_header, read_video_luma, read_video_rgb


class SleapEstimator:
    """A SLEAP model that is loaded and ready for any number of videos.

    Parameters
    ----------
    bundle_folder : str or Path
        A bundle made by `train` or `import_bundle`.
    device : str
        ``auto`` (the first of ``cuda``, ``mps``, ``cpu`` that this machine has) or one of them.
    batch_size : int
        Frames that go through the network at once; 4 to 16 is best on a CPU.
    n_threads : int
        Threads of one operation on a CPU. A second thread decodes the next frames meanwhile.

    Raises
    ------
    ModelError
        If the bundle is incomplete or cannot be loaded.
    """

    def __init__(
        self, bundle_folder: str | Path, *, device: str = "auto", batch_size: int = 8, n_threads: int = 1
    ) -> None:
        self.bundle_folder = Path(bundle_folder)
        self.bundle = read_bundle(bundle_folder)
        self.batch_size, self.n_threads = batch_size, n_threads
        with sleap_nn_runtime(n_threads):
            from sleap_nn.inference.predictor import Predictor

            self.device = choose_runtime_device(device)
            try:
                # Peaks of any height come back, so that no frame and no node is dropped; see minimum_score.
                self._predictor = Predictor.from_model_paths(
                    [str(self.bundle_folder)],
                    device=self.device,
                    batch_size=batch_size,
                    peak_threshold=0.0,
                    integral_patch_size=refinement_window(self.bundle.sigma),
                )
                use_runtime_memory_format(self._predictor.layer.backend.model)
            except Exception as error:  # broken weights fail in many ways inside torch
                raise ModelError(
                    f"the model in {self.bundle_folder} cannot be loaded ({error}); train or import it again"
                ) from error

        self._check_channels(getattr(self._predictor.layer.backend.model, "in_channels", None))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that the model finds."""
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
        """Find all nodes in all frames of a video.

        Apart from the tracks, memory does not grow with the video. Frames are decoded once, in order.

        Parameters
        ----------
        video_path : str or Path
            A video with the frame size that the model was trained on.
        time : array, shape (frame,), optional
            Time of each frame in seconds, from the camera; ``frame_index / fps`` if None.
        minimum_score : float, optional
            A node with a lower score is not found: its position is NaN and its score 0. 0 keeps every peak. Without
            it, the model's own.
        input_file : None
            A network reads only the video.
        progress : callable, optional
            Called with the frames done and the number of frames that the video's header promises.

        Returns
        -------
        Tracks
            Exactly one row a frame; scores are SLEAP's (peak values of the confidence maps, may exceed 1).

        Raises
        ------
        VideoError
            If the video cannot be read to its end, or `time` has another number of frames.
        ModelError
            If the frames have another size than those the model was trained on.
        """
        video_path = Path(video_path)
        header = read_video_header(video_path)
        self._check_size(video_path, header.height_px, header.width_px)
        # What it was trained on: the colors of a video are not those of its gray levels three times.
        read = read_video_rgb if self.bundle.n_channels == 3 else read_video_luma
        batches = _Batches(read(video_path), self.batch_size, header.n_frames)
        position, score = self._predict(batches, progress)
        if batches.n_read != len(position):
            raise VideoError(f"{video_path}: {batches.n_read} frames were read but {len(position)} came back")
        if time is None:
            time = np.arange(len(position)) * header.fps.denominator / header.fps.numerator
        elif np.shape(time) != (len(position),):
            raise VideoError(
                f"{video_path} has {len(position)} frames, but there are times of shape {np.shape(time)};"
                " one time for each frame is needed"
            )
        minimum_score = self._minimum_score(minimum_score)
        lost = ~(score >= minimum_score) | np.isnan(position).any(axis=-1)
        return Tracks(
            position=np.where(lost[..., None], np.nan, position),
            score=np.where(lost, 0, score),
            time=np.asarray(time, np.float64),
            nodes=self.nodes,
            attributes={"estimator": "sleap-nn", "minimum_score": minimum_score, "versions": self.bundle.versions},
        )

    def evaluate(
        self, labels_path: str | Path, *, frames: Sequence[int] | None = None, minimum_score: float | None = None
    ) -> EvaluationResult:
        """Compare with points that a person placed. Choose frames that the model was not trained on.

        Parameters
        ----------
        labels_path : str or Path
            A package of labels with the model's nodes, in any order.
        frames : sequence of int, optional
            Indices of the labeled frames to compare with, from 0 in the order of the package; all without it.
        minimum_score : float, optional
            As in `estimate_with_sleap`; a placed point whose node has a lower score counts as missed.

        Returns
        -------
        Evaluation

        Raises
        ------
        LabelsError
            If the labels cannot be read, have other nodes than the model, or lack one of `frames`, or if `frames` is
            empty.
        ModelError
            If the images have another size than those the model was trained on, or the model reads color.
        """
        if self.bundle.n_channels == 3:
            raise ModelError(
                f"the model in {self.bundle_folder} was trained on color, the images of {labels_path} are gray: its"
                " error cannot be measured on them"
            )
        labels = load_package(labels_path)
        nodes, _ = labeled_skeleton(labels)
        if set(nodes) != set(self.nodes):
            raise LabelsError(f"{labels_path} has the nodes {', '.join(nodes)}; the model has {', '.join(self.nodes)}")
        chosen = _chosen_frames(labels_path, len(labels), frames)
        all_images = labeled_images(labels)
        images = [all_images[index] for index in chosen]
        self._check_size(Path(labels_path), *images[0].shape)
        truth = labeled_positions(labels)[chosen][:, [nodes.index(node) for node in self.nodes]]
        position, score = self._predict(_Batches(iter(images), self.batch_size, len(images)), None)
        distance = np.linalg.norm(position - truth, axis=-1)
        missed = ~(score >= self._minimum_score(minimum_score)) & ~np.isnan(truth[..., 0])
        return EvaluationResult(
            n_frames=len(images),
            overall=_node_error(distance, missed),
            nodes={node: _node_error(distance[:, i], missed[:, i]) for i, node in enumerate(self.nodes)},
            error_px=np.where(missed, np.inf, distance).astype(np.float64),
            score_exponent=fit_score_exponent(score[~missed], distance[~missed]),
        )

    def _minimum_score(self, wish: float | None) -> float:
        return self.bundle.minimum_score if wish is None else wish

    def _check_channels(self, n_channels: int | None) -> None:
        """sleap-nn would show a model for color the same gray three times."""
        if n_channels == 3 and self.bundle.n_channels is None:
            raise ModelError(
                f"the model in {self.bundle_folder} was trained on color, but it was imported by a version that showed"
                " it gray frames: import it again, deploy that model, and undeploy this one"
            )

    def _check_size(self, path: Path, height_px: int, width_px: int) -> None:
        """sleap-nn would take frames of any size and give wrong positions."""
        expected = (self.bundle.height_px, self.bundle.width_px)
        if None not in expected and (height_px, width_px) != expected:
            raise ModelError(
                f"{path} has frames of {width_px} x {height_px} px, but the model in {self.bundle_folder} was trained"
                f" on {expected[1]} x {expected[0]} px; use a model for this camera, or label some of its frames"
            )

    def _predict(self, batches: _Batches, progress: Progress | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Positions (frame, node, 2) and scores (frame, node) of all frames."""
        positions, scores, n_done = [], [], 0
        with sleap_nn_runtime(self.n_threads):
            for outputs in self._predictor.predict_streaming(batches):
                positions.append(outputs.pred_keypoints[:, 0].cpu().numpy())
                scores.append(outputs.pred_peak_values[:, 0].cpu().numpy())
                n_done += len(positions[-1])
                if progress:
                    progress(n_done, batches.n_promised)
        return np.concatenate(positions), np.concatenate(scores)


def load_sleap_estimator(
    bundle_folder: str | Path, *, device: str = "auto", batch_size: int = 8, n_threads: int = 1
) -> SleapEstimator:
    """Load a bundle; the same as `SleapEstimator`."""
    return SleapEstimator(bundle_folder, device=device, batch_size=batch_size, n_threads=n_threads)


def estimate_with_sleap(
    bundle_folder: str | Path,
    video_path: str | Path,
    *,
    time: ArrayLike | None = None,
    minimum_score: float | None = None,
    device: str = "auto",
    batch_size: int = 8,
    n_threads: int = 1,
    progress: Progress | None = None,
) -> Tracks:
    """Find all nodes in one video; `SleapEstimator` keeps the model for several.

    Parameters, result and errors are those of `SleapEstimator` and its `SleapEstimator.estimate`.
    """
    estimator = SleapEstimator(bundle_folder, device=device, batch_size=batch_size, n_threads=n_threads)
    return estimator.estimate(video_path, time=time, minimum_score=minimum_score, progress=progress)


class _Batches:
    """Frames as sleap-nn's predictor takes them; the next batch is decoded while the network works on one.

    They are gray or in color. Not sleap-nn's reader, which trusts the header's number of frames and seeks to each.
    """

    def __init__(self, frames: Iterator[NDArray[np.uint8]], batch_size: int, n_promised: int) -> None:
        self.frames, self.batch_size, self.n_promised = frames, batch_size, n_promised
        self.n_read = 0

    def __iter__(self) -> Iterator[Any]:
        from sleap_nn.inference.providers import Batch

        with ThreadPoolExecutor(max_workers=1) as pool:
            upcoming = pool.submit(self._next_images)
            while (images := upcoming.result()) is not None:
                upcoming = pool.submit(self._next_images)
                frame_indices = np.arange(self.n_read, self.n_read + len(images))
                self.n_read += len(images)
                yield Batch(images=images, frame_indices=frame_indices, video_indices=np.zeros(len(images), np.int64))

    def __len__(self) -> int:
        return -(-self.n_promised // self.batch_size)

    def num_frames(self) -> int:
        return self.n_promised

    def _next_images(self) -> NDArray[np.uint8] | None:
        """The next frames, shape (frame, height, width, channel), or None after the last."""
        images = list(islice(self.frames, self.batch_size))
        if not images:
            return None
        stacked = np.stack(images)
        return stacked if stacked.ndim == 4 else stacked[..., None]


def refinement_window(sigma: float) -> int:
    """Side of the window, in pixels of the confidence map, whose center of mass refines a peak.

    SLEAP's fixed 5 truncates a peak with a sigma over 1, which biases positions towards the grid of the map: with sigma
    2.5 and stride 2 the median error was 0.52 px, with this window 0.12 px.

    Parameters
    ----------
    sigma : float
        Standard deviation of the peaks in the confidence maps, in pixels of the maps.
    """
    return 2 * math.ceil(2 * sigma) + 1


def _chosen_frames(labels_path: str | Path, n_frames: int, frames: Sequence[int] | None) -> list[int]:
    """Indices of the labeled frames that are compared with; all of them without a choice."""
    if frames is None:
        return list(range(n_frames))
    outside = [index for index in frames if not 0 <= index < n_frames]
    if outside:
        raise LabelsError(
            f"{labels_path} has {n_frames} labeled frames, there is none with the index {outside[0]};"
            f" expected 0 to {n_frames - 1}"
        )
    if not len(frames):
        raise LabelsError(f"{labels_path}: no labeled frame was chosen to compare with; choose at least one")
    return [int(index) for index in frames]


def _node_error(distance: NDArray[np.floating[Any]], missed: NDArray[np.bool_]) -> NodeEvaluation:
    """Quantiles of the distances of points that were placed and not missed."""
    found = distance[np.isfinite(distance) & ~missed].astype(np.float64)
    if found.size == 0:
        return NodeEvaluation(0, int(missed.sum()), np.nan, np.nan, np.nan)
    p50, p90 = np.quantile(found, [0.5, 0.9])
    return NodeEvaluation(int(found.size), int(missed.sum()), float(p50), float(p90), float(found.mean()))
