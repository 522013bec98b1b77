"""A SLEAP model as a bundle: a folder with its weights, its configuration, and what it was trained on."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compute.errors import ModelError
from compute.estimators.bundle_info import BundleInfo
from compute.estimators.sleap.model_folder import CONFIG, MINIMUM_SCORE, WEIGHTS, model_files
from compute.estimators.sleap.runtime import sleap_nn_runtime
from compute.estimators.sleap.training_frames import read_training_frames
from compute.json_text import json_text

DESCRIPTION = "bundle.json"
_COLOR = 3


@dataclass(frozen=True, kw_only=True)
class SleapBundle(BundleInfo):
    """What a bundle says about its model, from its ``bundle.json``: `BundleInfo`, and what only SLEAP has.

    Parameters
    ----------
    sigma : float
        Standard deviation of the peaks in the confidence maps, in pixels of the maps.
    seed : int or None
        Seed of the training.
    config : dict
        The training configuration of this project; empty for a model trained elsewhere.
    """

    sigma: float
    seed: int | None
    config: dict[str, Any]


def read_bundle(folder: str | Path) -> SleapBundle:
    """Read what a bundle says about its model, and check that its files are there.

    Raises
    ------
    ModelError
        If weights, configuration or description are missing or unreadable.
    """
    folder = Path(folder)
    weights, config = model_files(folder)
    try:
        content = json.loads((folder / DESCRIPTION).read_text())
        content["nodes"] = tuple(content["nodes"])
        content["edges"] = tuple((source, target) for source, target in content["edges"])
        return SleapBundle(**content)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} holds {weights.name} and {config.name} but no {DESCRIPTION}:"
            " it is a model trained elsewhere; import it first"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder / DESCRIPTION} cannot be read ({error}); import the model again") from error


def write_bundle(model_folder: Path, bundle_folder: Path, bundle: SleapBundle) -> None:
    """Make a bundle of a folder that sleap-nn trained into: without the optimizer's state, paths and times.

    The same training gives the same bytes. The bundle appears under its name when it is complete.

    Raises
    ------
    ModelError
        If the bundle's folder exists already.
    """
    if bundle_folder.exists():
        raise ModelError(f"{bundle_folder} exists already; models are never overwritten, choose another folder")
    bundle_folder.parent.mkdir(parents=True, exist_ok=True)
    weights, config = model_files(model_folder)
    with tempfile.TemporaryDirectory(dir=bundle_folder.parent, prefix=f".{bundle_folder.name}.") as folder:
        temporary = Path(folder) / "bundle"
        temporary.mkdir()
        if weights.name == WEIGHTS:
            _write_slim_weights(weights, temporary / WEIGHTS)
            _write_config_without_paths(config, temporary / CONFIG)
        else:
            shutil.copyfile(weights, temporary / weights.name)
            shutil.copyfile(config, temporary / config.name)
        (temporary / DESCRIPTION).write_text(
            json_text(_described(bundle), indent=1, sort_keys=True, ascii_only=True) + "\n"
        )
        temporary.rename(bundle_folder)


def _described(bundle: SleapBundle) -> dict[str, Any]:
    """What the description holds. It is part of the model's id, so new fields of `SleapBundle` do not go in.

    That a model reads color goes in: before, it was shown gray frames, and so it was another model.
    """
    not_kept = {"training_frames", "training_mice"} | (set() if bundle.n_channels == _COLOR else {"n_channels"})
    return {name: value for name, value in asdict(bundle).items() if name not in not_kept}


def import_bundle(
    model_folder: str | Path, bundle_folder: str | Path, *, minimum_score: float = MINIMUM_SCORE
) -> SleapBundle:
    """Make a bundle of a single-instance model that was trained with SLEAP elsewhere.

    Parameters
    ----------
    model_folder : str or Path
        Output folder of ``sleap-nn train`` (``best.ckpt``, ``training_config.yaml``), or of SLEAP up to 1.4
        (``best_model.h5``, ``training_config.json``; U-Net only, which sleap-nn converts).
    bundle_folder : str or Path
        Folder to create.
    minimum_score : float
        Score below which a node counts as not found.

    Returns
    -------
    Bundle
        With the frames that it was trained on, where SLEAP kept its labels beside the weights
        (``labels_gt.train.*.slp``, ``labels_gt.val.*.slp``); the bundle itself does not hold them.

    Raises
    ------
    ModelError
        If files are missing or unreadable, the model is not single-instance or reads neither gray nor color, or the
        bundle's folder exists already.
    """
    model_folder = Path(model_folder)
    model_files(model_folder)
    with sleap_nn_runtime(1):
        bundle = replace(_describe(model_folder), minimum_score=minimum_score)
        if bundle.n_channels not in (None, 1, _COLOR):
            raise ModelError(
                f"{model_folder} holds a model that reads {bundle.n_channels} channels of a frame, expected 1 (gray) or"
                f" {_COLOR} (color): there are no others to show it"
            )
        write_bundle(model_folder, Path(bundle_folder), bundle)
    frames = read_training_frames(model_folder)
    return replace(bundle, training_frames=frames)


def describe_bundle(model_folder: Path) -> SleapBundle:
    """What the files of a model that sleap-nn trained say about it; call it inside `sleap_nn_runtime`."""
    return _describe(model_folder)


def bundle_with_training(
    bundle: SleapBundle, *, size: tuple[int, int], n_frames: int, seed: int, config: dict[str, Any]
) -> SleapBundle:
    """The same bundle with what this project knows about its own training; size is (height, width) in pixels."""
    return replace(
        bundle,
        height_px=size[0],
        width_px=size[1],
        minimum_score=config["minimum_score"],
        n_training_frames=n_frames,
        seed=seed,
        config=config,
    )


def _describe(folder: Path) -> SleapBundle:
    """Nodes, edges and frame size from a model's own configuration."""
    import torch
    from sleap_nn import __version__
    from sleap_nn.config.utils import get_model_type_from_cfg
    from sleap_nn.inference.loaders import _load_training_config
    from sleap_nn.inference.utils import get_skeleton_from_config

    try:
        config, _ = _load_training_config(str(folder))
        kind = get_model_type_from_cfg(config)
        if kind != "single_instance":
            raise ModelError(
                f"{folder} holds a model of the kind {kind!r}; a head-fixed mouse needs 'single_instance':"
                " choose that in SLEAP's training dialog"
            )
        head = config.model_config.head_configs.single_instance.confmaps
        skeleton = get_skeleton_from_config(config.data_config.skeletons)[0]
        preprocessing = config.data_config.preprocessing
        return SleapBundle(
            nodes=tuple(head.part_names or skeleton.node_names),
            edges=tuple((source, target) for source, target in skeleton.edge_names),
            height_px=preprocessing.max_height,
            width_px=preprocessing.max_width,
            n_channels=_n_channels(config),
            sigma=float(head.sigma),
            minimum_score=MINIMUM_SCORE,
            n_training_frames=None,
            seed=config.trainer_config.seed,
            config={},
            versions={"sleap-nn": str(config.get("sleap_nn_version") or __version__), "torch": torch.__version__},
        )
    except ModelError:
        raise
    except Exception as error:  # an edited configuration can fail in many ways
        raise ModelError(f"the training configuration in {folder} cannot be read: {error}") from error


def _n_channels(config: Any) -> int | None:
    """Channels of the network's input."""
    used = [part for part in config.model_config.backbone_config.values() if part]
    return int(used[0].in_channels) if len(used) == 1 and used[0].get("in_channels") else None


def _write_slim_weights(source: Path, target: Path) -> None:
    """Copy a checkpoint without the optimizer's state (two thirds of it) and without the paths in its callbacks."""
    import torch

    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=False)
        slim = {key: checkpoint[key] for key in ("state_dict", "pytorch-lightning_version", "epoch", "global_step")}
    except Exception as error:  # unpickling a broken file can raise anything
        raise ModelError(f"the weights {source} cannot be read ({error}); copy or train the model again") from error
    torch.save(slim, target)


def _write_config_without_paths(source: Path, target: Path) -> None:
    """Copy a sleap-nn configuration without the folders and files of the machine that trained."""
    from omegaconf import OmegaConf

    config = OmegaConf.load(source)
    for section, key in (
        ("data_config", "train_labels_path"),
        ("data_config", "val_labels_path"),
        ("data_config", "test_file_path"),
        ("data_config", "cache_img_path"),
        ("trainer_config", "ckpt_dir"),
        ("trainer_config", "run_name"),
        ("trainer_config", "resume_ckpt_path"),
        ("trainer_config", "wandb"),
    ):
        if key in config.get(section, {}):
            config[section][key] = None
    OmegaConf.save(config, target)
