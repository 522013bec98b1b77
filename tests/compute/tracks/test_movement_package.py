"""The `movement` package's own functions on our dataset, in its own environment (`make peers`)."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from compute.tracks import Tracks

ROOT = Path(__file__).parents[3]
IN_MOVEMENTS_ENVIRONMENT = """
import sys
import numpy as np
from compute.tracks import Tracks
from movement.filtering import filter_by_confidence
from movement.io import load_dataset, save_poses
from movement.kinematics import compute_pairwise_distances, compute_velocity
from movement.validators.datasets import ValidPosesInputs

numbers = np.load(sys.argv[1])
tracks = Tracks(numbers["position"], numbers["score"], numbers["time"], ("jaw tip", "é"))
dataset = tracks.to_xarray("mouse01")
ValidPosesInputs.validate(dataset)
save_poses.to_sleap_analysis_file(dataset, sys.argv[2])
back = load_dataset(sys.argv[2], source_software="SLEAP", fps=100)
between = compute_pairwise_distances(dataset.position, dim="keypoints", pairs={"jaw tip": "é"})
np.savez(
    sys.argv[3],
    velocity=compute_velocity(dataset.position).squeeze("individuals").transpose("time", "keypoints", "space"),
    distance=np.asarray(between).ravel(),
    confident=filter_by_confidence(dataset.position, dataset.confidence, threshold=0.5)
    .squeeze("individuals").transpose("time", "keypoints", "space"),
    back=back.position.squeeze("individuals").transpose("time", "keypoints", "space"),
    again=Tracks.from_xarray(dataset).position,
)
"""


@pytest.mark.slow
def test_movements_functions_run_on_our_dataset(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    position = rng.normal(size=(200, 2, 2)).cumsum(axis=0).astype(np.float32)
    position[10:20, 1] = np.nan
    score = np.where(np.isnan(position[..., 0]), 0, rng.uniform(size=(200, 2))).astype(np.float32)
    tracks = Tracks(position, score, np.arange(200) / 100, ("jaw tip", "é"))
    np.savez(tmp_path / "in.npz", position=position, score=score, time=tracks.time)
    python = ROOT / ".venv-peers" / "bin" / "python"
    assert python.exists(), "movement has an environment of its own: run 'make peers'"
    files = [str(tmp_path / name) for name in ("in.npz", "movement.h5", "out.npz")]
    subprocess.run([python, "-c", IN_MOVEMENTS_ENVIRONMENT, *files], check=True, cwd=ROOT)

    found = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(found["velocity"], np.gradient(position, 0.01, axis=0), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found["distance"], np.linalg.norm(position[:, 0] - position[:, 1], axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(found["confident"], np.where(score[..., None] < 0.5, np.nan, position))
    np.testing.assert_allclose(found["back"], position, atol=1e-4)
    np.testing.assert_array_equal(found["again"], position)
