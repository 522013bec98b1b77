"""A simulated lab: mice, their recordings on disk, labeled frames, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.labels import LabeledFrameSource, write_package
from compute.simulated_mouse.anatomy import CAMERAS, EDGES, NODES, SimulatedMouse
from compute.simulated_mouse.simulation import render_simulation, simulate_mouse, simulate_session
from compute.video import read_video_frame, write_video

SESSION_DATE = date(2026, 3, 2)
LABELLER_SD_PX = 0.3
"""How far a simulated labeller's click is from the truth; people are not better."""


@dataclass(frozen=True)
class SimulatedLab:
    """Where the lab's files are.

    Attributes
    ----------
    folder : Path
        Holds ``raw`` (session folders), ``labels`` (one package a camera) and ``truth`` (one file a session).
    training_mice, held_out_mice : tuple of str
        Mice whose frames were labeled, and mice that no model has seen.
    """

    folder: Path
    training_mice: tuple[str, ...]
    held_out_mice: tuple[str, ...]

    @property
    def raw_folder(self) -> Path:
        """Folder to ingest."""
        return self.folder / "raw"

    @property
    def mice(self) -> tuple[str, ...]:
        """All mice."""
        return self.training_mice + self.held_out_mice

    def session_folder(self, mouse: str) -> Path:
        """Folder of a mouse's session."""
        return self.raw_folder / mouse / f"{SESSION_DATE}_1"

    def labels_path(self, camera: str) -> Path:
        """Labeled frames of a camera."""
        return self.folder / "labels" / f"{camera}.pkg.slp"

    def true_position_px(self, mouse: str, camera: str) -> NDArray[np.float64]:
        """True position of every node in every frame, shape (frame, node, 2), in the order of `NODES`."""
        with np.load(self.folder / "truth" / f"{mouse}.npz") as truth:
            position: NDArray[np.float64] = truth[camera]
        return position


def simulate_lab(
    folder: Path,
    *,
    n_training_mice: int = 4,
    n_held_out_mice: int = 2,
    n_frames: int = 1000,
    n_labeled_frames: int = 30,
    seed: int = 0,
    n_processes: int = 2,
    on_session: Callable[[int, int], None] = lambda done, total: None,
) -> SimulatedLab:
    """Film and label simulated mice.

    Parameters
    ----------
    folder : Path
        New folder for the lab's files.
    n_training_mice, n_held_out_mice : int
        Mice with labeled frames, and mice without, which differ more.
    n_frames : int
        Frames of each video.
    n_labeled_frames : int
        Labeled frames of each training mouse and camera, evenly spread.
    seed : int
        The same seed makes the same lab.
    n_processes : int
        Sessions that are filmed at the same time.
    on_session : callable
        Called with the number of finished sessions and of all.

    Returns
    -------
    SimulatedLab
    """
    n_mice = n_training_mice + n_held_out_mice
    mice = [simulate_mouse(seed * 1000 + index, held_out=index >= n_training_mice) for index in range(n_mice)]
    names = tuple(f"mouse{index + 1:02}" for index in range(n_mice))
    lab = SimulatedLab(folder, names[:n_training_mice], names[n_training_mice:])
    (folder / "truth").mkdir(parents=True)
    (folder / "labels").mkdir()
    with ProcessPoolExecutor(n_processes) as pool:
        jobs = [
            pool.submit(_film, lab, name, mouse, seed * 1000 + index, n_frames)
            for index, (name, mouse) in enumerate(zip(names, mice, strict=True))
        ]
        for done, job in enumerate(jobs, start=1):
            job.result()
            on_session(done, n_mice)
    for camera in CAMERAS:
        _label(lab, camera, n_labeled_frames, n_frames, seed)
    return lab


def _film(lab: SimulatedLab, name: str, mouse: SimulatedMouse, seed: int, n_frames: int) -> None:
    """Write a session's folder, and the truth elsewhere."""
    session = simulate_session(mouse, seed=seed, n_frames=n_frames, n_hard_bursts=n_frames // 250)
    folder = lab.session_folder(name)
    folder.mkdir(parents=True)
    for camera in CAMERAS:
        write_video(folder / f"{camera}.mp4", render_simulation(session, camera), session.fps)
    scales = "\n".join(f"{camera} = {session.scale_px_per_mm[camera]:.6f}" for camera in CAMERAS)
    (folder / "session.toml").write_text(
        f'rig = "simulation"\nnotes = "{mouse.coat} coat"\n[mouse]\ngenotype = "simulated"\n\n[px_per_mm]\n{scales}\n',
        encoding="utf-8",
    )
    truth: dict[str, Any] = {"hard": session.hard, **session.position_px}
    np.savez_compressed(lab.folder / "truth" / f"{name}.npz", **truth)


def _label(lab: SimulatedLab, camera: str, n_labeled_frames: int, n_frames: int, seed: int) -> None:
    """Place the nodes in some frames of the training mice, as a person would."""
    rng = np.random.default_rng(seed)
    images, positions, sources = [], [], []
    for mouse in lab.training_mice:
        path = lab.session_folder(mouse) / f"{camera}.mp4"
        truth = lab.true_position_px(mouse, camera)
        for frame_index in np.linspace(0, n_frames - 1, n_labeled_frames).round().astype(int):
            images.append(read_video_frame(path, int(frame_index)))
            positions.append(truth[frame_index] + rng.normal(0, LABELLER_SD_PX, truth[frame_index].shape))
            sources.append(LabeledFrameSource(str(path), int(frame_index)))
    write_package(lab.labels_path(camera), np.stack(images), np.stack(positions), NODES, EDGES, sources)
