"""What several test modules share: a real database of their own, short videos, session folders."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from compute.video import write_video
from pipeline.database import connect, disconnect
from pipeline.settings import Settings

# No test is timed: a shared machine is slow at times.
hypothesis.settings.register_profile("orofacial", deadline=None)
hypothesis.settings.load_profile("orofacial")

# The tests have databases of their own, never the one that this machine is configured for.
for _variable in [name for name in os.environ if name.startswith(("DJ_", "OROFACIAL_"))]:
    del os.environ[_variable]

_prefix_number = itertools.count()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with an embedded PostgreSQL that lives as long as the tests of this process."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("here"))  # away from anybody's datajoint.json
    yield tmp_path_factory.mktemp("data")
    disconnect()
    os.chdir(before)


@pytest.fixture(scope="module")
def settings(data_folder: Path) -> Settings:
    """Settings with a schema prefix of the test module's own: its tables start empty."""
    return Settings(data_folder=data_folder, schema_prefix=f"test{next(_prefix_number)}_")


@pytest.fixture(scope="module")
def database(settings: Settings) -> Settings:
    """Connected and activated."""
    import schemas

    schemas.activate(settings.schema_prefix, connect(settings))
    return settings


def blob_frames(n_frames: int, seed: int = 0, width: int = 64, height: int = 48) -> Iterator[NDArray[np.uint8]]:
    """Gray frames with a bright blob that moves: something that a video codec can keep."""
    y, x = np.mgrid[:height, :width]
    for frame_index in range(n_frames):
        center = width / 2 + 10 * np.sin(frame_index / 5 + seed)
        yield (30 + 200 * np.exp(-((x - center) ** 2 + (y - height / 2 - seed) ** 2) / 40)).astype(np.uint8)


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Path]:
    """Write a session's folder below `tmp_path / "raw"`, each with other frames."""
    seeds = itertools.count(1)

    def make(
        name: str = "mouse01/2026-03-02_1", *, cameras: tuple[str, ...] = ("side", "lower"), n_frames: int = 20
    ) -> Path:
        folder = tmp_path / "raw" / name
        folder.mkdir(parents=True)
        for camera in cameras:
            seed = next(seeds) + abs(hash(name)) % 1000 / 1000
            write_video(folder / f"{camera}.mp4", blob_frames(n_frames, seed), 100)
        return folder

    return make
