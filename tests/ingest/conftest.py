"""Recordings of any name below a raw folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compute.video import write_video


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def write(raw: Path) -> Callable[[str], Path]:
    """Write a short video below the raw folder, each with other frames."""
    seeds = iter(range(1000))

    def one(path: str) -> Path:
        video = raw / path
        video.parent.mkdir(parents=True, exist_ok=True)
        frames = np.kron(np.random.default_rng(next(seeds)).uniform(40, 215, (6, 8)), np.ones((8, 8))).astype(np.uint8)
        write_video(video, (np.roll(frames, shift, axis=1) for shift in range(8)), 50)
        return video

    return one
