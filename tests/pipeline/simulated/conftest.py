"""A database whose tracks are simulated, so that their truth is known and no model has to be trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_tracks import NODES, SimulatedTracks, simulate_tracks

from pipeline.settings import Settings

MICE = ("mouse01", "mouse02", "mouse03", "mouse04")
IN_TRAINING = MICE[:2]
N_FRAMES = 3000
LABELLED = (100, 700, 1900, 2500)
RIGID, MOVING = ("left_snout_tip", "right_snout_tip"), ("bottom_snout_tip", "jaw_tip")
SCORE_EXPONENT = 1.5


@dataclass(frozen=True)
class SimulatedDatabase:
    """Settings, the truth of each mouse's video, and what else is true."""

    settings: Settings
    simulated: dict[str, SimulatedTracks]
    model_id: str
    in_training: tuple[str, ...] = IN_TRAINING
    held_out_frames: tuple[int, ...] = LABELLED[1::2]
    rigid: tuple[str, str] = RIGID
    moving: tuple[str, str] = MOVING
    score_exponent: float = SCORE_EXPONENT

    def truth(self, mouse: str) -> NDArray[np.float64]:
        """True positions, shape (frame, node, 2)."""
        return self.simulated[mouse].truth


@pytest.fixture(scope="module")
def simulated_database(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> SimulatedDatabase:
    """Four mice with a video each; a model trained on two of them, evaluated on labeled frames; nothing filtered yet.

    The rows of recordings, models and poses are inserted as training and estimating would leave them. Mice in training
    have less noise, as it is with models.
    """
    from ingest.labels import insert_label_skeleton
    from ingest.pairs import add_node_pair
    from schemas import evaluation, labels, model, pose, session, subject

    simulated = {
        mouse: simulate_tracks(number, N_FRAMES, noise_px=1.0 if mouse in IN_TRAINING else 1.5)
        for number, mouse in enumerate(MICE)
    }
    subject.Mouse.insert([{"mouse_id": mouse} for mouse in MICE])
    skeleton_id = insert_label_skeleton(NODES, (("center_snout_tip", "jaw_tip"),))
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    bundle.mkdir()
    (bundle / "weights").write_text("the tests need no weights")
    model_key = {"model_id": "0123456789abcdef"}
    model.Model.insert1(
        {
            **model_key,
            "camera": "side",
            "skeleton_id": skeleton_id,
            "estimator": "sleap",
            "model_name": "simulated",
            "bundle": bundle,
            "training_mice_known": True,
            "training_frames_known": True,
        }
    )
    model.DeployedModel.insert1({"camera": "side", **model_key})
    model.Model.Mouse.insert([{**model_key, "mouse_id": mouse} for mouse in IN_TRAINING])
    for mouse in MICE:
        key = {"mouse_id": mouse, "session_date": "2026-03-02", "session_number": 1}
        session.Session.insert1({**key, "session_folder": f"/raw/{mouse}/2026-03-02_1"})
        session.Video.insert1(
            {
                **key,
                "camera": "side",
                "video_file": f"/raw/{mouse}/2026-03-02_1/side.mp4",
                "file_size_bytes": 1,
                "content_hash": mouse.ljust(64, "0"),
                "n_frames": N_FRAMES,
                "fps_numerator": 100,
                "fps_denominator": 1,
                "width_px": 300,
                "height_px": 300,
                "px_per_mm": 10.0,
            }
        )
        pose.PoseEstimation.insert1(
            {
                **key,
                "camera": "side",
                **model_key,
                "tracks": simulated[mouse].tracks,
                "device": "none",
                "estimation_duration_s": 0.0,
            },
            allow_direct_insert=True,
        )
    _insert_labels(labels, model, evaluation, simulated, model_key, skeleton_id, bundle)
    add_node_pair(*RIGID, kind="rigid", length_mm=2.6)
    add_node_pair(*MOVING, kind="moving")
    return SimulatedDatabase(database, simulated, model_key["model_id"])


def _insert_labels(labels, model, evaluation, simulated, model_key, skeleton_id: str, bundle: Path) -> None:  # type: ignore[no-untyped-def]
    """Labels of the training mice on another machine's disk, a training, and half of the frames held out from it.

    The labels' images are known to be frames of the mice's videos.
    """
    key = {"labels_id": "fedcba9876543210"}
    sources = [(mouse, frame) for mouse in IN_TRAINING for frame in LABELLED]
    labels.LabeledFrames.insert1(
        {
            **key,
            "labels_name": "side.pkg.slp",
            "camera": "side",
            "skeleton_id": skeleton_id,
            "n_labeled_frames": len(sources),
            "image_width_px": 300,
            "image_height_px": 300,
            "package": bundle / "weights",
        }
    )
    labels.LabeledFrames.Source.insert(
        [
            {
                **key,
                "labeled_frame_index": index,
                "original_file": f"D:\\data\\{mouse}\\2026-03-02_1\\side.mp4",
                "frame_index": frame,
                "mouse_id": mouse,
                "image_hash": f"{index:032x}",
                "source_date": "2026-03-02",
                "source_number": 1,
            }
            for index, (mouse, frame) in enumerate(sources)
        ]
    )
    config = {"training_config": "tiny"}
    model.TrainingConfig.insert1({**config, "estimator": "sleap", "training_parameters": {}})
    task = {**key, **config, "seed": 0}
    model.TrainingTask.insert1(task)
    model.Training.insert1(
        {**task, **model_key, "training_history": [], "training_duration_s": 0.0}, allow_direct_insert=True
    )
    model.Model.Frame.insert([{**model_key, "image_hash": f"{index:032x}"} for index in range(0, len(sources), 2)])
    evaluated = {**key, **model_key}
    counts = {"known_unseen": True, "n_evaluated_frames": len(sources) // 2, "n_seen_frames": len(sources) // 2}
    evaluation.ModelEvaluation.insert1(
        {**evaluated, **counts, "score_exponent": SCORE_EXPONENT}, allow_direct_insert=True
    )
    evaluation.ModelEvaluation.Frame.insert(
        [
            {**evaluated, "labeled_frame_index": index, "placed_px": simulated[mouse].truth[frame]}
            for index, (mouse, frame) in enumerate(sources)
            if index % 2
        ],
        allow_direct_insert=True,
    )
    for mouse in IN_TRAINING:
        video = {**key, "mouse_id": mouse, "session_date": "2026-03-02", "session_number": 1, "camera": "side"}
        n_frames = len(LABELLED)
        evaluation.LabeledVideo.insert1(
            {**video, "n_named_frames": n_frames, "n_matched_frames": n_frames}, allow_direct_insert=True
        )
        evaluation.LabeledVideo.Frame.insert(
            [
                {**video, "labeled_frame_index": index, "gray_difference": 0.0, "is_matched": True}
                for index, (source, _) in enumerate(sources)
                if source == mouse
            ],
            allow_direct_insert=True,
        )
