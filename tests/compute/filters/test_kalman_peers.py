"""The kernel against four libraries that compute the same posterior by other ways."""

import filter_peers
import numpy as np
import pytest
from filters import first_frames, run_kernel
from simulated_tracks import simulate_tracks


@pytest.mark.parametrize("library", ["filterpy", "pykalman", "simdkalman", "statsmodels"])
def test_same_model_same_posterior(library):
    tracks = first_frames(simulate_tracks(5, 1000).tracks, 400)
    ours = run_kernel(tracks)().reshape(tracks.position.shape)
    theirs = np.asarray(filter_peers.PEERS[library](tracks.position, tracks.score)).T.reshape(ours.shape)
    after_first = np.arange(400)[:, None] >= tracks.found.argmax(axis=0)
    assert (~tracks.found).sum() > 50
    np.testing.assert_allclose(ours[after_first], theirs[after_first], rtol=0, atol=1e-9)
