"""Training a SLEAP model (single-instance U-Net) with sleap-nn."""

from __future__ import annotations

import csv
import os
import signal
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compute.errors import LabelsError, ModelError
from compute.estimators.estimator import Progress
from compute.estimators.sleap import training_settings as settings
from compute.estimators.sleap.bundle import bundle_with_training, describe_bundle, write_bundle
from compute.estimators.sleap.model_folder import MINIMUM_SCORE
from compute.estimators.sleap.runtime import choose_runtime_device, sleap_nn_runtime, use_runtime_memory_format
from compute.estimators.training_results import TrainingEpoch, TrainingResult
from compute.labels import labeled_positions, labeled_subset, load_package, split_labeled_frames

if TYPE_CHECKING:
    import sleap_io as sio


@dataclass(frozen=True)
class SleapTrainingSettings:
    """How to train; every field is a number, so that a configuration is a row in a table.

    The defaults suit a few hundred labeled frames of one camera. Halving `scale` makes everything about four times as
    fast and is the first thing to try where the mouse fills the picture.

    Parameters
    ----------
    filters : int
        Channels of the first block of the U-Net.
    filters_rate : float
        Factor from one block to the next.
    max_stride : int
        The network's coarsest grid in pixels of the scaled frame: 16 sees about 70 px around, 32 about 150 px.
    output_stride : int
        Pixels of the scaled frame per pixel of the confidence maps.
    scale : float
        The frame is resized by this before the network.
    sigma : float
        Standard deviation of the peaks in the confidence maps, in pixels of the maps.
    learning_rate : float
        Largest learning rate; it rises over the first epochs and then falls to zero along a cosine.
    batch_size : int
        Frames in one step.
    epochs : int
        Passes over the training frames.
    patience_epochs : int
        Stop when the validation loss has not improved for so many epochs; 0 never stops.
    validation_fraction : float
        Part of the labeled frames that chooses the best epoch and is not trained on.
    rotation_deg : float
        Each frame is rotated by up to this, either way.
    scale_range : float
        Each frame is made larger or smaller by up to this fraction.
    translation : float
        Each frame is shifted by up to this fraction of its size.
    brightness_range, contrast_range : float
        Brightness and contrast of half of the frames change by up to this fraction.
    noise_sd : float
        Standard deviation of noise added to half of the frames, as a fraction of white.
    minimum_score : float
        Score below which the trained model calls a node not found.
    """

    filters: int = settings.training_setting(16, settings.COUNT)
    filters_rate: float = settings.training_setting(1.5, settings.GROWTH)
    max_stride: int = settings.training_setting(32, settings.STRIDE)
    output_stride: int = settings.training_setting(2, settings.STRIDE)
    scale: float = settings.training_setting(1.0, settings.SCALE)
    sigma: float = settings.training_setting(2.5, settings.POSITIVE)
    learning_rate: float = settings.training_setting(1e-3, settings.FRACTION)
    batch_size: int = settings.training_setting(4, settings.COUNT)
    epochs: int = settings.training_setting(200, settings.COUNT)
    patience_epochs: int = settings.training_setting(40, settings.COUNT_OR_NONE)
    validation_fraction: float = settings.training_setting(0.1, settings.FRACTION)
    rotation_deg: float = settings.training_setting(15.0, settings.ANGLE_DEG)
    scale_range: float = settings.training_setting(0.1, settings.FRACTION_OR_NONE)
    translation: float = settings.training_setting(0.0, settings.FRACTION_OR_NONE)
    brightness_range: float = settings.training_setting(0.2, settings.FRACTION_OR_NONE)
    contrast_range: float = settings.training_setting(0.2, settings.FRACTION_OR_NONE)
    noise_sd: float = settings.training_setting(0.0, settings.FRACTION_OR_NONE)
    minimum_score: float = settings.training_setting(MINIMUM_SCORE, settings.SCORE)

    def __post_init__(self) -> None:
        """Check the settings, each by itself and the strides together."""
        settings.check_training_settings(self)
        if self.output_stride > self.max_stride:
            raise ModelError(
                f"output_stride is {self.output_stride}, expected at most max_stride, which is {self.max_stride}"
            )


def train_with_sleap(
    labels_path: str | Path,
    config: SleapTrainingSettings | dict[str, Any] | None = None,
    *,
    seed: int,
    bundle_folder: str | Path,
    progress: Progress | None = None,
    device: str = "auto",
    n_threads: int = 1,
) -> TrainingResult:
    """Train a model on labeled frames and keep it as a bundle.

    On a CPU the same labels, configuration, seed and number of threads give the same bytes.
    Only the bundle is left on the disk. No network connection is made.

    Parameters
    ----------
    labels_path : str or Path
        A package of labels (``.pkg.slp``), without the frames that are held out.
    config : TrainingConfig or dict, optional
        How to train; a dict holds fields of `SleapTrainingSettings`.
    seed : int
        Seed of the initial weights, the augmentation and the choice of validation frames.
    bundle_folder : str or Path
        Folder to create.
    progress : callable, optional
        Called with the number of epochs done and the total.
    device : str
        ``auto``, ``cuda``, ``mps`` or ``cpu``.
    n_threads : int
        Threads of one operation on a CPU.

    Returns
    -------
    TrainedModel

    Raises
    ------
    LabelsError
        If the labels cannot be used.
    ModelError
        If the configuration has unknown fields or the bundle's folder exists already.

    Examples
    --------
    >>> train_with_sleap("lower.pkg.slp", {"epochs": 60}, seed=1, bundle_folder="models/lower")  # doctest: +SKIP
    """
    bundle_folder = Path(bundle_folder)
    config = _as_config(config or {})
    if bundle_folder.exists():
        raise ModelError(f"{bundle_folder} exists already; models are never overwritten, choose another folder")
    labels = load_package(labels_path)
    training, validation = split_labeled_frames(labels, config.validation_fraction, seed)
    _check_enough(labels_path, training)
    with sleap_nn_runtime(n_threads), tempfile.TemporaryDirectory() as folder:
        model_folder = Path(folder) / "model"
        _fit(training, validation, config, seed, model_folder, choose_runtime_device(device), progress)
        history = _read_history(model_folder / "training_log.csv")
        height_px, width_px = labels[0].image.shape[:2]
        bundle = bundle_with_training(
            describe_bundle(model_folder),
            size=(height_px, width_px),
            n_frames=len(training),
            seed=seed,
            config=asdict(config),
        )
        write_bundle(model_folder, bundle_folder, bundle)
    for video in labels.videos:
        video.close()
    if progress:
        progress(len(history), len(history))
    return TrainingResult(bundle_folder, len(training), len(validation), history)


def _as_config(config: SleapTrainingSettings | dict[str, Any]) -> SleapTrainingSettings:
    """The configuration, with a message of our own for a field that does not exist."""
    if isinstance(config, SleapTrainingSettings):
        return config
    unknown = sorted(set(config) - set(SleapTrainingSettings.__dataclass_fields__))
    if unknown:
        known = ", ".join(SleapTrainingSettings.__dataclass_fields__)
        raise ModelError(f"the training configuration has no {', '.join(unknown)}; its fields are {known}")
    return SleapTrainingSettings(**config)


def check_training_labels(labels_path: str | Path, frames: list[int], config: dict[str, Any], *, seed: int) -> None:
    """Refuse a training that could only fail: too few frames, or a node that none of them has.

    Parameters
    ----------
    labels_path : str or Path
        A package of labels (``.pkg.slp``).
    frames : list of int
        Indices of the labeled frames to train on.
    config : dict
        Fields of `SleapTrainingSettings`.
    seed : int
        Seed of the choice of validation frames.

    Raises
    ------
    LabelsError
        If the labels cannot be trained on.
    """
    labels = labeled_subset(load_package(labels_path), frames)
    training, _ = split_labeled_frames(labels, SleapTrainingSettings(**config).validation_fraction, seed)
    _check_enough(labels_path, training)


def _check_enough(labels_path: str | Path, training: sio.Labels) -> None:
    """A node that was never placed cannot be learned: its confidence map would be empty forever."""
    points = labeled_positions(training)[..., 0].swapaxes(0, 1)
    missing = [node for node, x in zip(training.skeleton.node_names, points, strict=True) if np.isnan(x).all()]
    if missing:
        raise LabelsError(f"{labels_path}: {', '.join(missing)} was placed in no training frame; label it or remove it")


def _fit(
    training: sio.Labels,
    validation: sio.Labels,
    config: SleapTrainingSettings,
    seed: int,
    model_folder: Path,
    device: str,
    progress: Progress | None,
) -> None:
    """Let sleap-nn train into a folder."""
    from sleap_nn.training.model_trainer import ModelTrainer

    class Trainer(ModelTrainer):
        """sleap-nn's trainer with callbacks of ours, which it has no way to pass in, and without its bars."""

        def _setup_loggers_callbacks(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any]]:
            loggers, callbacks = super()._setup_loggers_callbacks(*args, **kwargs)
            return loggers, [*callbacks, *_callbacks(progress)]

        def _setup_datasets(self) -> Any:
            # NO_COLOR is sleap-nn's own switch for the bar that it draws while it reads the images.
            before = os.environ.get("NO_COLOR")
            os.environ["NO_COLOR"] = "1"
            try:
                return super()._setup_datasets()
            finally:
                del os.environ["NO_COLOR"]
                if before is not None:
                    os.environ["NO_COLOR"] = before

    sleap_config = _sleap_config(config, seed, model_folder, device)
    trainer = Trainer.get_model_trainer_from_config(sleap_config, train_labels=[training], val_labels=[validation])
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.train()
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        # Lightning turns Ctrl-C into an exit and makes the process ignore every later one.
        signal.signal(signal.SIGINT, on_interrupt)
        raise KeyboardInterrupt from error


def _callbacks(progress: Progress | None) -> list[Any]:
    """Lightning callbacks: one reports epochs, the other replaces the printed table of layers."""
    from lightning.pytorch.callbacks import Callback, ModelSummary

    class ReportEpochs(Callback):
        def on_fit_start(self, trainer: Any, module: Any) -> None:
            use_runtime_memory_format(module)

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            if progress:
                progress(trainer.current_epoch + 1, trainer.max_epochs)

    return [ReportEpochs(), ModelSummary(max_depth=0)]


def _sleap_config(config: SleapTrainingSettings, seed: int, model_folder: Path, device: str) -> Any:
    """sleap-nn's own configuration."""
    from omegaconf import OmegaConf
    from sleap_nn.config.training_job_config import verify_training_cfg

    content = {
        "data_config": _data_section(config),
        "model_config": {
            "backbone_config": {
                "unet": {
                    "filters": config.filters,
                    "filters_rate": config.filters_rate,
                    "max_stride": config.max_stride,
                    "output_stride": config.output_stride,
                }
            },
            "head_configs": {
                "single_instance": {"confmaps": {"sigma": config.sigma, "output_stride": config.output_stride}}
            },
        },
        "trainer_config": _trainer_section(config, seed, model_folder, device),
    }
    return verify_training_cfg(OmegaConf.create(content))


def _data_section(config: SleapTrainingSettings) -> dict[str, Any]:
    """Preprocessing and augmentation."""
    return {
        "user_instances_only": True,
        "data_pipeline_fw": "torch_dataset_cache_img_memory",
        "parallel_caching": False,
        "preprocessing": {"ensure_grayscale": True, "scale": config.scale},
        "use_augmentations_train": True,
        "augmentation_config": {
            "geometric": {
                "rotation_min": -config.rotation_deg,
                "rotation_max": config.rotation_deg,
                "rotation_p": 1.0,
                "scale_min": 1 - config.scale_range,
                "scale_max": 1 + config.scale_range,
                "scale_p": 1.0,
                "translate_width": config.translation,
                "translate_height": config.translation,
                "translate_p": 1.0 if config.translation else 0.0,
            },
            "intensity": {
                "brightness_min": 1 - config.brightness_range,
                "brightness_max": 1 + config.brightness_range,
                "brightness_p": 0.5 if config.brightness_range else 0.0,
                "contrast_min": 1 - config.contrast_range,
                "contrast_max": 1 + config.contrast_range,
                "contrast_p": 0.5 if config.contrast_range else 0.0,
                "gaussian_noise_std": config.noise_sd,
                "gaussian_noise_p": 0.5 if config.noise_sd else 0.0,
            },
        },
    }


def _trainer_section(config: SleapTrainingSettings, seed: int, model_folder: Path, device: str) -> dict[str, Any]:
    """Optimizer, schedule, and where sleap-nn writes; its surprising defaults are all set here."""
    return {
        "train_data_loader": {"batch_size": config.batch_size, "shuffle": True, "num_workers": 0},
        "val_data_loader": {"batch_size": config.batch_size, "num_workers": 0},
        "trainer_accelerator": {"cuda": "gpu"}.get(device.split(":")[0], device),
        "trainer_devices": 1,
        "enable_progress_bar": False,
        "min_train_steps_per_epoch": 1,
        "max_epochs": config.epochs,
        "seed": seed,
        "use_wandb": False,
        "save_ckpt": True,
        "ckpt_dir": str(model_folder.parent),
        "run_name": model_folder.name,
        "optimizer": {"lr": config.learning_rate},
        "lr_scheduler": {
            "cosine_annealing_warmup": {
                "warmup_epochs": min(5, config.epochs // 10),
                "max_epochs": config.epochs,
                "warmup_start_lr": config.learning_rate / 10,
            }
        },
        "early_stopping": {
            "stop_training_on_plateau": config.patience_epochs > 0,
            "patience": max(config.patience_epochs, 1),
            "min_delta": 0.0,
        },
    }


def _read_history(path: Path) -> tuple[TrainingEpoch, ...]:
    """Losses from the log that sleap-nn writes."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        TrainingEpoch(int(float(row["epoch"])), float(row["train/loss"] or "nan"), float(row["val/loss"] or "nan"))
        for row in rows
    )
