"""Times of a video's frames as its container gives them: regular at an exact rate, or each frame at its own time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

LONGEST_FRAME_INTERVAL_S = 1.0
"""(s) Frames that are further apart show no movement of a face: a time lapse, or times in another unit."""

_EVEN = 0.6
"""Nine tenths of the steps of a video with one frame rate are longer than this part of the median step."""

_FEWEST_TICKS, _MOST_TICKS = 1 - 1e-6, 2.0
"""How many ticks regular times may stray: half a frame, which a dropped frame exceeds, but no more than two rounded
numbers can, and no less than one can (a frame of AVI is one tick)."""

_LARGEST_DENOMINATOR = 10_000


@dataclass(frozen=True)
class FrameTimes:
    """When the frames of a video were taken.

    Parameters
    ----------
    fps : Fraction
        Exact rate (Hz) of a regular video, such as 30000/1001; mean rate of an irregular one.
    own_times_s : array, shape (frame,), float64, or None
        Time of each frame since the first one (s) of an irregular video, as the container has it: it may not increase.
        None: regular, frame index / fps.
    """

    fps: Fraction
    own_times_s: NDArray[np.float64] | None


def usual_frame_interval_s(time: NDArray[np.float64]) -> float:
    """Usual time between frames in seconds; 1 for fewer than two frames, where it has no meaning.

    The median; where more than a tenth of the steps are much shorter (a camera that films fast at times), the median of
    the short ones.

    Parameters
    ----------
    time : array, shape (frame,)
        Increasing times (s).
    """
    if time.size < 2:
        return 1.0
    steps = np.diff(time)
    middle, short = np.median(steps), np.quantile(steps, 0.1)
    return float(middle if short >= _EVEN * middle else np.median(steps[steps <= 1.5 * short]))


def frame_times_of_pts(pts: Sequence[int | None], tick_s: Fraction, rates: Sequence[Fraction | None]) -> FrameTimes:
    """Tell a regular video from one whose frames have times of their own.

    Parameters
    ----------
    pts : sequence of int or None
        Presentation time stamp of each frame in the order in which frames are shown, in ticks; None where the
        container gives none.
    tick_s : Fraction
        The container's tick (s).
    rates : sequence of Fraction or None
        Frame rates (Hz) that the header states, one at the least, the most likely first: the first that fits the time
        stamps is taken.

    Returns
    -------
    FrameTimes
        Where a frame has no time stamp, or there is but one frame, the video is taken for regular at the first rate.

    Examples
    --------
    >>> frame_times_of_pts([0, 33, 67, 100], Fraction(1, 1000), [Fraction(30)])
    FrameTimes(fps=Fraction(30, 1), own_times_s=None)
    >>> frame_times_of_pts([0, 33, 67, 200], Fraction(1, 1000), [Fraction(30)]).own_times_s.tolist()
    [0.0, 0.033, 0.067, 0.2]
    """
    stated = [Fraction(rate) for rate in rates if rate]
    if len(pts) < 2 or any(one is None for one in pts):
        return FrameTimes(stated[0], None)
    ticks = np.array(pts, np.int64)
    ticks -= ticks[0]
    # Times that another container had rounded before stand on a coarser grid than this one's ticks.
    grid = max(1, int(np.gcd.reduce(ticks))) if np.ptp(np.diff(ticks)) else 1
    ticks, tick_s = ticks // grid, tick_s * grid
    span_s = int(ticks[-1]) * tick_s
    mean = None if span_s <= 0 else Fraction((len(pts) - 1) / span_s).limit_denominator(_LARGEST_DENOMINATOR)
    # A rate that nobody stated needs even steps: one dropped frame hardly bends the line of all times. So do frames in
    # slots of a stated rate: a header's mean rate, such as MP4's 47 frames / 1.6 s, lies within a slot of all of them.
    rates_by_header = stated if _is_even(ticks) or 1 / tick_s not in stated else []
    for rate in (*rates_by_header, mean if _is_even(ticks) else None):
        if rate and _is_regular(ticks, tick_s, rate):
            return FrameTimes(rate, None)
    return FrameTimes(mean or stated[0], ticks * float(tick_s.numerator) / tick_s.denominator)


def _is_even(ticks: NDArray[np.int64]) -> bool:
    """Whether all steps are the same but for rounding; steps of few ticks must be the same."""
    steps = np.diff(ticks)
    return bool(np.ptp(steps) <= (_MOST_TICKS if steps.min() >= 2 * _MOST_TICKS else 0))


def _is_regular(ticks: NDArray[np.int64], tick_s: Fraction, fps: Fraction) -> bool:
    """Whether the time stamps are those of a regular video, rounded to ticks."""
    ticks_per_frame = float(1 / (fps * tick_s))
    deviation = ticks - np.arange(ticks.size) * ticks_per_frame
    return bool(np.ptp(deviation) <= np.clip(ticks_per_frame / 2, _FEWEST_TICKS, _MOST_TICKS))
