"""Bouts whose frames are known: at every frame rate, with the rounding and jitter of real times, across holes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.errors import TracksError
from compute.filters.kalman import kalman
from compute.measures.bouts import find_bouts
from compute.simulated_mouse.simulation import NODES, simulate_mouse, simulate_session
from compute.tracks import Tracks

SPEED = {"minimum_speed_px_per_s": 50.0, "maximum_gap_s": 0.05}
RATES = (Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60), Fraction(100), Fraction(250), Fraction(500))


def moving(steps_px: Any, time: NDArray[np.float64]) -> Tracks:
    """A node that moves by these steps along x; ``steps_px[i]`` is the move from frame i to i + 1."""
    x = np.r_[0, np.cumsum(np.asarray(steps_px, float))]
    return Tracks(np.c_[x, x * 0][:, None], np.ones((x.size, 1)), time[: x.size], ["jaw_tip"])


def lick(*parts: int) -> NDArray[np.bool_]:
    """Moves and rests by turns, each of so many frames, a rest first."""
    return np.concatenate([np.full(n, bool(index % 2)) for index, n in enumerate(parts)])


def found(tracks: Tracks, **limits: float) -> list[tuple[int, int]]:
    """First and last frame of each bout."""
    bouts = find_bouts(tracks, "jaw_tip", **{**SPEED, **limits})
    return [
        (int(np.searchsorted(tracks.time, bout.start_s)), int(np.searchsorted(tracks.time, bout.end_s)))
        for bout in bouts
    ]


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("origin_s", [0.0, 1.1, 1234.567])
def test_a_gap_counts_in_whole_frames_wherever_it_lies(fps: Fraction, origin_s: float) -> None:
    limit = math.floor(Fraction(1, 20) * fps + Fraction(1, 20))  # frames in 0.05 s
    for first in range(400):
        time = origin_s + np.arange(first + 60) / float(fps)
        for gap, n_bouts in ((limit, 1), (limit + 1, 2)):
            moves = np.r_[np.zeros(first, bool), lick(2, 20, gap, 20, 5)]
            later = time[-1] + np.arange(1, 80) / float(fps)
            bouts = found(moving(moves * 500 / float(fps), np.r_[time, later]), minimum_duration_s=0)
            assert len(bouts) == (n_bouts if gap else 1)
        if first > 40 and origin_s:
            break


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_bout_is_as_long_as_it_must_be_in_whole_frames(fps: Fraction) -> None:
    shortest = math.ceil(Fraction(1, 20) * fps - Fraction(1, 20))
    for first in range(300):
        time = np.arange(first + shortest + 20) / float(fps)
        for n_frames, n_bouts in ((shortest, 1), (shortest - 1, 0)):
            moves = np.r_[np.zeros(first, bool), lick(1, n_frames, 10)]
            assert len(found(moving(moves * 500 / float(fps), time))) == n_bouts


@given(st.integers(0, 2**32 - 1), st.sampled_from(RATES), st.integers(0, 12), st.integers(1, 12))
def test_jitter_of_less_than_half_a_frame_decides_nothing(seed: int, fps: Fraction, gap: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    moves = lick(15, 30, gap, 30, 15) if gap else lick(15, 60, 15)
    interval_s = 1 / float(fps)
    time = 1000 + (np.arange(moves.size + 1) + rng.uniform(-0.2, 0.2, moves.size + 1)) * interval_s
    steps = moves * np.diff(time) * 500
    bouts = found(moving(steps, time), maximum_gap_s=limit * interval_s, minimum_duration_s=10 * interval_s)
    assert len(bouts) == (1 if gap <= limit else 2)


@pytest.mark.parametrize("n_dropped", [1, 4, 5, 6, 50])
@pytest.mark.parametrize("kind", ["dropped by the camera", "without a position"])
def test_a_bout_never_spans_a_hole(n_dropped: int, kind: str) -> None:
    """Fast before and after the hole; at 100 Hz with 0.05 s, a hole of 5 frames from point to point is no hole yet."""
    x = np.arange(100) * 5.0
    time = np.arange(100) / 100
    tracks = Tracks(np.c_[x, x * 0][:, None], np.ones((100, 1)), time, ["jaw_tip"])
    lost = (np.arange(100) > 40) & (np.arange(100) <= 40 + n_dropped)
    if kind == "without a position":
        position, score = tracks.position.copy(), tracks.score.copy()
        position[lost], score[lost] = np.nan, 0
        tracks = Tracks(position, score, time, tracks.nodes)
    else:
        tracks = Tracks(tracks.position[~lost], tracks.score[~lost], time[~lost], tracks.nodes)
    bouts = find_bouts(tracks, "jaw_tip", **SPEED)
    spans = [(bout.start_s, bout.end_s) for bout in bouts]
    if n_dropped + 1 <= 5:
        assert spans == [(0, 0.99)]
    else:
        assert spans == [(0, 0.4), (pytest.approx(0.41 + n_dropped / 100), 0.99)]
        assert sum(bout.path_px for bout in bouts) == pytest.approx(5.0 * (99 - n_dropped - 1))
        assert max(bout.peak_speed_px_per_s for bout in bouts) == 500


def test_a_jump_across_a_hole_is_no_movement() -> None:
    time = np.r_[np.arange(30) / 30, 2 + np.arange(30) / 30]
    x = np.r_[np.zeros(30), np.full(30, 4000.0)]
    tracks = Tracks(np.c_[x, x * 0][:, None], np.ones((60, 1)), time, ["jaw_tip"])
    assert find_bouts(tracks, "jaw_tip", **SPEED) == []


def test_movement_against_another_node_leaves_the_head_out() -> None:
    time = np.arange(100) / 100
    head = np.c_[np.arange(100) * 3.0, np.zeros(100)]
    jaw = head + np.c_[np.zeros(100), np.clip((time - 0.3) * 200, 0, 40)]
    tracks = Tracks(np.stack([head, jaw], axis=1), np.ones((100, 2)), time, ["center_snout_tip", "jaw_tip"])
    assert [(bout.start_s, bout.end_s) for bout in find_bouts(tracks, "jaw_tip", **SPEED)] == [(0, 0.99)]
    against = find_bouts(tracks, "jaw_tip", **SPEED, reference_node="center_snout_tip")
    assert [(bout.start_s, bout.end_s) for bout in against] == [(0.3, 0.5)]
    for reference in ("jaw_tip", "tongue"):
        with pytest.raises(TracksError, match=r"against itself|no node 'tongue'"):
            find_bouts(tracks, "jaw_tip", **SPEED, reference_node=reference)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "0.1", None, [1], 10**400])
@pytest.mark.parametrize("name", ["minimum_speed_px_per_s", "minimum_duration_s", "maximum_gap_s"])
def test_a_limit_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    tracks = moving(np.zeros(10), np.arange(11) / 100)
    with pytest.raises(TracksError, match=f"bouts: {name} is .*, expected a number from 0"):
        find_bouts(tracks, "jaw_tip", **{**SPEED, name: value})


@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_a_video_of_few_frames_has_no_bouts(n_frames: int) -> None:
    tracks = Tracks(np.zeros((n_frames, 1, 2)), np.ones((n_frames, 1)), np.arange(n_frames) / 100, ["jaw_tip"])
    assert find_bouts(tracks, "jaw_tip", **SPEED) == []


@pytest.mark.parametrize("fps", [30, 100, 250])
@pytest.mark.parametrize("is_irregular", [False, True], ids=["regular", "frames dropped"])
def test_a_bout_of_licking_or_chewing_is_one_bout_at_any_frame_rate(fps: int, is_irregular: bool) -> None:
    """The simulated mouse says when it licks and chews; a jaw stands still twice in each cycle."""
    n_found, n_right, n_true = 0, 0, 0
    for seed in range(2):
        session = simulate_session(simulate_mouse(seed), seed=seed, n_frames=30 * fps, fps=fps)
        rng = np.random.default_rng(seed)
        position = session.position_px["side"] + rng.normal(0, 0.3, session.position_px["side"].shape)
        kept = rng.random(session.n_frames) > (0.2 if is_irregular else 0)
        score = rng.uniform(0.6, 1, position.shape[:2])
        tracks = Tracks(position[kept], score[kept], session.time[kept], NODES)
        bouts = find_bouts(kalman(tracks), "jaw_tip", minimum_speed_px_per_s=50)
        edges = np.flatnonzero(np.diff(np.r_[0, session.licking | session.chewing, 0]))
        true = [(session.time[start], session.time[stop - 1]) for start, stop in edges.reshape(-1, 2)]
        n_right += sum(
            any(min(bout.end_s, end) - max(bout.start_s, start) > 0.8 * (end - start) for bout in bouts)
            for start, end in true
        )
        n_found, n_true = n_found + len(bouts), n_true + len(true)
    assert n_true > 10
    assert n_right >= n_true - 1 and abs(n_found - n_true) <= 1
