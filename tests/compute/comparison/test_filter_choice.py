"""What is chosen without knowing the truth is no worse by the truth."""

from dataclasses import replace

import numpy as np
import pytest
from comparisons import choice_rows
from filter_grid import simulate_cell
from simulated_tracks import simulate_tracks

from compute.comparison.filter_choice import CANDIDATES, chosen_node_filters, filter_choices
from compute.errors import FilterError
from compute.filters import apply_filter
from compute.filters.per_node import per_node
from compute.tracks import Tracks


def rmse(tracks, truth, frames):
    return np.sqrt(np.nanmean((tracks.position[frames] - truth[frames]) ** 2, axis=(0, 2)))


def test_the_chosen_filters_are_no_worse_by_the_truth():
    simulated = simulate_tracks(5, 6000)
    choices = filter_choices([simulated.tracks])
    assert [choice.node for choice in choices] == list(simulated.tracks.nodes)
    # By the truth, on another recording of such a mouse: the choice has not seen it.
    other = simulate_tracks(6, 6000)
    everywhere = slice(None)
    chosen = rmse(per_node(other.tracks, filters=chosen_node_filters(choices)), other.truth, everywhere)
    for name, parameters in CANDIDATES:
        gate = {} if name == "kalman" else {"gated": True}
        candidate = rmse(apply_filter(other.tracks, name, {**parameters, **gate}), other.truth, everywhere)
        assert chosen.mean() <= candidate.mean() * 1.05, (name, parameters, chosen / candidate)
        assert (chosen <= candidate * 1.15).all(), (name, parameters, chosen / candidate)
    for choice in choices:
        assert choice.is_chosen and abs(choice.noise_correlation) < 0.1
        assert choice.error_px <= choice.lines_px and choice.error_px <= choice.kalman_px * 1.02


def test_videos_count_the_same_however_large_their_errors():
    small, large = simulate_tracks(7, 3000), simulate_tracks(8, 3000, noise_px=3.0)
    both = filter_choices([small.tracks, large.tracks])
    assert {choice.n_videos for choice in both} == {2}


def test_too_little_to_choose_on_says_so():
    still = Tracks(np.zeros((20, 1, 2)), np.ones((20, 1)), np.arange(20) / 100, ["jaw_tip"])
    with pytest.raises(FilterError, match="choose on longer videos"):
        filter_choices([still])


def test_no_filter_is_chosen_where_noise_lasts():
    """Points beside a hidden one share its noise, so that no smoothing would seem best."""
    tracks = simulate_cell("drift", "correlated over 30 ms", 100.0, 1).tracks
    white = simulate_cell("drift", "1 px", 100.0, 1).tracks
    position = np.concatenate([tracks.position[:, :1], white.position[:, 1:]], axis=1)
    choices = filter_choices([replace(tracks, position=position)])
    assert [choice.is_chosen for choice in choices] == [False, True, True]
    assert (choices[0].filter, choices[0].error_px) == ("kalman", choices[0].kalman_px)
    assert set(chosen_node_filters(choices)) == {"n1", "n2"}


@pytest.mark.parametrize("motion", ["jaw in bouts, 4-8 Hz", "licks in bouts, 6 Hz"])
def test_hidden_points_order_the_filters_as_the_truth_does(motion):
    rows = choice_rows(motion, "1 px", 100.0, 2)
    assert all(row["chooses"] and row["rank_correlation"] > 0.7 for row in rows)
