"""A training is refused when it is asked for, if it could only fail; a request that failed can be deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.errors import LabelsError, ModelError
from compute.estimators.sleap.training import SleapTrainingSettings
from compute.labels import write_package

pytestmark = pytest.mark.usefixtures("emptied")


def import_frames(tmp_path: Path, position: np.ndarray[Any, Any]) -> str:
    from ingest.labels import import_labels

    images = np.random.default_rng(0).integers(0, 256, (len(position), 40, 60), np.uint8)
    sources = [("a.mp4", index) for index in range(len(position))]
    write_package(tmp_path / "a.pkg.slp", images, position, ["nose", "jaw"], [], sources)
    return import_labels(tmp_path / "a.pkg.slp", camera="side").labels_id


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"epochs": 0}, "epochs is 0, expected a whole number from 1"),
        ({"epochs": "many"}, "epochs is 'many'"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"max_stride": 20}, "max_stride is 20, expected a power of two"),
        ({"max_stride": 4, "output_stride": 8}, "output_stride is 8, expected at most max_stride, which is 4"),
        ({"scale": -1}, "scale is -1"),
        ({"scale": True}, "scale is True"),
        ({"validation_fraction": 1.5}, "validation_fraction is 1.5, expected a number between 0 and 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"minimum_score": 7}, "minimum_score is 7, expected a number from 0 to 1, as scores are"),
        ({"rotation_deg": 400}, "rotation_deg is 400"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    from ingest.training_tasks import add_training_task
    from schemas.model import TrainingConfig, TrainingTask

    labels_id = import_frames(tmp_path, np.full((5, 2, 2), 9.0))
    with pytest.raises(ModelError, match=said):
        add_training_task(labels_id, camera="side", config=config)
    assert len(TrainingTask()) == len(TrainingConfig()) == 0
    assert SleapTrainingSettings(scale=1, epochs=1).scale == 1


def test_labels_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("sleap_nn")
    from ingest.training_tasks import add_training_task
    from schemas.model import TrainingConfig

    position = np.full((5, 2, 2), 9.0)
    position[:, 1] = np.nan
    labels_id = import_frames(tmp_path, position)
    with pytest.raises(LabelsError, match="jaw was placed in no training frame"):
        add_training_task(labels_id, camera="side")
    assert len(TrainingConfig()) == 0


def test_a_training_that_failed_can_be_deleted(tmp_path: Path) -> None:
    from ingest.training_tasks import add_training_task
    from pipeline.stores.deletion import DeletionError, plan_training_deletion, run_deletion
    from pipeline.work.undone import undone_reasons
    from schemas.model import Training, TrainingTask

    labels_id = import_frames(tmp_path, np.full((5, 2, 2), 9.0))
    task = add_training_task(labels_id, camera="side", config={"epochs": 1})
    Training().jobs.refresh()
    Training().jobs.reserve(task)
    Training().jobs.error(task, error_message="no memory", error_stack="")
    assert [one for one in undone_reasons() if one.startswith("failed: 1 Training")]
    run_deletion(plan_training_deletion(labels_id, task["training_config"], task["seed"]))
    assert len(TrainingTask()) == 0 and not Training().jobs
    assert not [one for one in undone_reasons() if "failed" in one]
    with pytest.raises(DeletionError, match="without a model are none"):
        plan_training_deletion(labels_id, task["training_config"], task["seed"])


def test_a_model_that_misses_the_points_does_not_deploy_itself(tmp_path: Path) -> None:
    from ingest.deployment import deploy_if_first, reason_against_deployment
    from schemas.evaluation import ModelEvaluation
    from schemas.labels import LabeledFrames
    from schemas.model import DeployedModel, Model

    labels_id = import_frames(tmp_path, np.full((5, 2, 2), 9.0))
    skeleton_id = (LabeledFrames & {"labels_id": labels_id}).fetch1("skeleton_id")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "weights").write_text("w")
    for number, (n_points, n_missed, error_px, said) in enumerate(
        [(0, 10, None, "missed 10 of 10 points"), (10, 0, 40.0, "median error is 40 px"), (9, 1, 2.0, None)]
    ):
        key = {"model_id": f"{number:016x}"}
        row = {"camera": "side", "skeleton_id": skeleton_id, "estimator": "sleap", "model_name": "a"}
        Model.insert1({**key, **row, "bundle": tmp_path / "bundle"})
        evaluated = {**key, "labels_id": labels_id}
        counts = {"known_unseen": True, "n_evaluated_frames": 5, "n_seen_frames": 0, "error_p50_px": error_px}
        ModelEvaluation.insert1({**evaluated, **counts}, allow_direct_insert=True)
        node = {"node": "nose", "n_points": n_points, "n_missed": n_missed, "error_p50_px": error_px}
        ModelEvaluation.Node.insert1({**evaluated, **node}, allow_direct_insert=True)
        reason = reason_against_deployment(key["model_id"])
        assert reason is None if said is None else said in str(reason)
        assert deploy_if_first(key["model_id"], None) is (said is None)
    assert deploy_if_first(f"{0:016x}", True)
    assert set(DeployedModel.to_arrays("model_id")) == {f"{0:016x}"}
