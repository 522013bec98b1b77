"""A folder that SLEAP trained a model into: the files of it that matter here."""

from __future__ import annotations

from pathlib import Path

from compute.errors import ModelError

WEIGHTS, CONFIG = "best.ckpt", "training_config.yaml"
LEGACY_WEIGHTS, LEGACY_CONFIG = "best_model.h5", "training_config.json"
"""Files of sleap-nn, and of SLEAP up to 1.4."""

MINIMUM_SCORE = 0.2
"""Score below which a node counts as not found, for a model that says nothing else; SLEAP's own default."""


def model_files(folder: Path) -> tuple[Path, Path]:
    """Paths of weights and configuration, of sleap-nn or of SLEAP up to 1.4.

    Raises
    ------
    ModelError
        If one is missing.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; expected one with {WEIGHTS} and {CONFIG}")
    legacy = (folder / LEGACY_WEIGHTS).is_file() and not (folder / WEIGHTS).is_file()
    names = (LEGACY_WEIGHTS, LEGACY_CONFIG) if legacy else (WEIGHTS, CONFIG)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} has no {' and no '.join(missing)}; expected a folder that SLEAP trained a model into"
        )
    return folder / names[0], folder / names[1]
