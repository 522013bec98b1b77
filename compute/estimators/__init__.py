"""Pose estimators, each in one module or package behind one contract, see `compute.estimators.protocol`."""

from compute.estimators.bundle_info import BundleInfo, TrainingFrame
from compute.estimators.model_errors import Evaluation, NodeError
from compute.estimators.protocol import Device, Estimator, EstimatorKind, Progress
from compute.estimators.registry import by_name, check_installed, not_installed, recognised, registered, that_trains
from compute.estimators.training_results import Epoch, TrainedModel

__all__ = [
    "BundleInfo",
    "Device",
    "Epoch",
    "Estimator",
    "EstimatorKind",
    "Evaluation",
    "NodeError",
    "Progress",
    "TrainedModel",
    "TrainingFrame",
    "by_name",
    "check_installed",
    "not_installed",
    "recognised",
    "registered",
    "that_trains",
]
