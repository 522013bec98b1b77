"""SLEAP as an estimator of `compute.estimators`: what it states about itself. Nothing heavy is imported here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compute.errors import ModelError
from compute.estimators.estimator import EstimatorKind, Progress
from compute.estimators.sleap.model_folder import CONFIG, LEGACY_CONFIG, LEGACY_WEIGHTS, MINIMUM_SCORE, WEIGHTS
from compute.estimators.training_results import TrainingResult

if TYPE_CHECKING:
    from compute.estimators.sleap.bundle import SleapBundle
    from compute.estimators.sleap.estimator import SleapEstimator


class SleapKind(EstimatorKind):
    """SLEAP's single-instance models, trained here or elsewhere."""

    name = "sleap"
    summary = "SLEAP's networks (sleap-nn), trained here or elsewhere"
    bundle_hint = f"the folder with {WEIGHTS} and {CONFIG} that SLEAP trained a model into"
    device = "gpu"
    memory_gb = 4.0
    minimum_score = MINIMUM_SCORE
    modules = ("sleap_nn", "torch")
    extra = "sleap"
    packages = ("sleap-nn", "torch")
    can_train = True
    can_estimate_images = True

    def recognises(self, path: Path) -> bool:
        """Whether it is a folder with weights or configuration of SLEAP."""
        return any((path / name).is_file() for name in (WEIGHTS, CONFIG, LEGACY_WEIGHTS, LEGACY_CONFIG))

    def import_bundle(
        self, source: Path, bundle_folder: Path, *, minimum_score: float | None = None, name: str = ""
    ) -> SleapBundle:
        """Make a bundle of a model that SLEAP trained, see `compute.estimators.sleap.bundle.import_bundle`."""
        from compute.estimators.sleap.bundle import import_bundle

        self.check_installed()
        score = self.minimum_score if minimum_score is None else minimum_score
        return import_bundle(source, bundle_folder, minimum_score=score)

    def read_bundle(self, folder: Path) -> SleapBundle:
        """Read what a bundle says about its model."""
        from compute.estimators.sleap.bundle import read_bundle

        return read_bundle(folder)

    def load(self, folder: Path) -> SleapEstimator:
        """Load a bundle onto the best device of this machine."""
        from compute.estimators.sleap.estimator import load_sleap_estimator

        self.check_installed()
        return load_sleap_estimator(folder)

    def training_parameters(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every field of `compute.estimators.sleap.training.SleapTrainingSettings`."""
        from compute.estimators.sleap.training import SleapTrainingSettings

        try:
            return dataclasses.asdict(SleapTrainingSettings(**settings))
        except TypeError as error:  # a setting that does not exist
            known = ", ".join(field.name for field in dataclasses.fields(SleapTrainingSettings))
            raise ModelError(f"{error}; known settings are {known}") from error

    def check_training(
        self, labels_path: Path, frames: Sequence[int], parameters: Mapping[str, Any], *, seed: int
    ) -> None:
        """See `compute.estimators.sleap.training.check_training_labels`."""
        from compute.estimators.sleap.training import check_training_labels

        check_training_labels(labels_path, list(frames), dict(parameters), seed=seed)

    def train(
        self,
        labels_path: Path,
        parameters: Mapping[str, Any],
        *,
        seed: int,
        bundle_folder: Path,
        progress: Progress | None = None,
    ) -> TrainingResult:
        """Train a single-instance U-Net, see `compute.estimators.sleap.training.train_with_sleap`."""
        from compute.estimators.sleap.training import train_with_sleap

        self.check_installed()
        return train_with_sleap(
            labels_path, dict(parameters), seed=seed, bundle_folder=bundle_folder, progress=progress
        )

    def runs_on(self) -> str:
        """The device that `load` chooses here."""
        from compute.estimators.sleap.runtime import choose_runtime_device

        self.check_installed()
        return choose_runtime_device()
