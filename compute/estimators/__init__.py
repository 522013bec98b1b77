"""Pose estimators, each in one module or package behind one contract, see `compute.estimators.estimator`."""

from compute.estimators.bundle_info import BundleInfo, BundleTrainingFrame
from compute.estimators.estimator import Device, Estimator, EstimatorKind, Progress
from compute.estimators.evaluation_results import EvaluationResult, NodeEvaluation
from compute.estimators.registry import (
    check_estimator_installed,
    combining_estimator,
    estimator_that_trains,
    estimators_not_installed,
    recognised_estimator,
    registered_estimator,
    registered_estimators,
)
from compute.estimators.training_results import TrainingEpoch, TrainingResult

__all__ = [
    "BundleInfo",
    "BundleTrainingFrame",
    "Device",
    "Estimator",
    "EstimatorKind",
    "EvaluationResult",
    "NodeEvaluation",
    "Progress",
    "TrainingEpoch",
    "TrainingResult",
    "check_estimator_installed",
    "combining_estimator",
    "estimator_that_trains",
    "estimators_not_installed",
    "recognised_estimator",
    "registered_estimator",
    "registered_estimators",
]
