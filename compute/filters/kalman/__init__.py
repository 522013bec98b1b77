"""The robust Kalman smoother."""

from compute.filters.kalman.smoother import kalman

__all__ = ["kalman"]
