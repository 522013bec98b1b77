"""`orofacial model`: poses that another program wrote come in by command, beside a model that is there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

NETWORK = "DLC_resnet50_snoutJan5shuffle1_50000"
Orofacial = Callable[..., subprocess.CompletedProcess[str]]


def write_poses(path: Path, n_frames: int) -> None:
    """Poses of DeepLabCut as HDF5, written long ago."""
    values = np.random.default_rng(0).uniform(1, 40, (n_frames, 6)) / [1, 1, 40, 1, 1, 40]
    columns = pd.MultiIndex.from_product(
        [[NETWORK], ["snout", "jaw_tip"], ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    pd.DataFrame(values, columns=columns).to_hdf(path, key="df_with_missing", format="table")
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_poses_of_deeplabcut_go_from_their_files_to_filtered_tracks(orofacial: Orofacial, small_lab: object) -> None:
    raw_folder = small_lab.raw_folder  # type: ignore[attr-defined]
    file = raw_folder / "mouse02" / "2026-03-02_1" / f"side{NETWORK}.h5"
    write_poses(file, 200)
    imported = orofacial("model", "import", file, "--camera", "side", "--name", "snouts", "--json")
    assert imported.returncode == 0, imported.stderr
    model_id = json.loads(imported.stdout)["model_id"]
    deployed = orofacial("model", "deploy", model_id, "--beside")
    assert deployed.returncode == 0, deployed.stderr
    computed = orofacial("populate", "--json")
    assert json.loads(computed.stdout)["computed"]["PoseEstimation"] == 1, computed.stdout + computed.stderr
    why = orofacial("why", "mouse02/2026-03-02_1", "--model", model_id, "--filter", "median", "--node", "snout")
    assert all(said in why.stdout for said in (str(file), NETWORK, "estimator deeplabcut", "snouts")), why.stderr
    refused = orofacial("model", "import", raw_folder / "mouse02", "--camera", "side")
    assert refused.returncode == 1
    assert "is no model of an estimator that is known here; expected one of" in refused.stderr
