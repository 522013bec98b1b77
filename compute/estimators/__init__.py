"""Pose estimators, each in one module or package behind one contract, see `compute.estimators.protocol`."""

from compute.estimators.protocol import Device, Estimator, EstimatorKind, Progress
from compute.estimators.registry import by_name, check_installed, not_installed, recognised, registered, that_trains
from compute.estimators.results import BundleInfo, Epoch, Evaluation, NodeError, TrainedModel, TrainingFrame

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
