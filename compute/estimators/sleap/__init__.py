"""SLEAP: train a model, and find the nodes in videos with it, on sleap-nn's Python interface."""

from compute.estimators.sleap.bundle import Bundle, import_bundle, read_bundle
from compute.estimators.sleap.estimator import SleapEstimator, estimate, load
from compute.estimators.sleap.training import TrainingConfig, train

__all__ = ["Bundle", "SleapEstimator", "TrainingConfig", "estimate", "import_bundle", "load", "read_bundle", "train"]
