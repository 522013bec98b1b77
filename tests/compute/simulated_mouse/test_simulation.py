"""The simulated mouse: its truth is consistent, its pictures agree with it, and its hard frames are hard."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from scipy.signal import periodogram

from compute.simulated_mouse import simulation
from compute.simulated_mouse.anatomy import CAMERAS, EDGES, JAW_HINGE_MM, JAW_NODE, NODES, pivot_mm, rest_nodes_mm
from compute.simulated_mouse.face import Face
from compute.simulated_mouse.rendering import render_frames, rendered_face, rendering_blur_kernel
from compute.simulated_mouse.simulation import SimulationError, render_simulation, simulate_mouse, simulate_session

RIGID = [node for node in NODES if node != "jaw_tip"]


@pytest.fixture(scope="module")
def mouse():
    return simulate_mouse(1)


@pytest.fixture(scope="module")
def session(mouse):
    return simulate_session(mouse, seed=2, n_frames=300, n_hard_bursts=4)


def test_skeleton_has_seven_nodes_and_ten_edges_between_them():
    assert len(set(NODES)) == 7
    assert len({frozenset(edge) for edge in EDGES}) == 10
    assert {node for edge in EDGES for node in edge} == set(NODES)


@pytest.mark.parametrize("held_out", [False, True])
def test_rigid_distances_are_constant_and_true(held_out):
    mouse = simulate_mouse(3, held_out=held_out)
    session = simulate_session(mouse, seed=1, n_frames=500)
    for node_a in RIGID:
        for node_b in RIGID:
            difference = session.position_mm[:, NODES.index(node_a)] - session.position_mm[:, NODES.index(node_b)]
            true_mm = simulation.simulated_distance_mm(mouse, node_a, node_b)
            np.testing.assert_allclose(np.linalg.norm(difference, axis=1), true_mm, atol=1e-9)


def test_each_mouse_has_widths_of_its_own_symmetric_and_of_a_mouse_snouts_size():
    widths = [
        simulation.simulated_distance_mm(simulate_mouse(seed), "left_snout_tip", "right_snout_tip") for seed in range(6)
    ]
    assert len(set(widths)) == 6
    assert min(widths) > 1.5
    assert max(widths) < 3.5
    for seed in range(3):
        left, right, center = (
            rest_nodes_mm(simulate_mouse(seed))[NODES.index(f"{side}_snout_tip")]
            for side in ("left", "right", "center")
        )
        np.testing.assert_allclose(left, right * [1, -1, 1], atol=0.01)
        assert abs(center[1]) < 1e-9


def test_no_distance_to_the_jaw_is_constant(mouse):
    with pytest.raises(SimulationError, match="jaw_tip"):
        simulation.simulated_distance_mm(mouse, "bottom_snout_tip", "jaw_tip")


def test_projection_gives_the_true_pixels_and_the_scale(session):
    for camera in CAMERAS:
        projection = session.views[camera].projection
        homogeneous = np.concatenate([session.position_mm, np.ones((*session.position_mm.shape[:2], 1))], axis=-1)
        np.testing.assert_allclose(homogeneous @ projection.T, session.position_px[camera], atol=1e-9)
        # Weak perspective: rows of one length (the scale), at a right angle.
        gram = projection[:, :3] @ projection[:, :3].T
        np.testing.assert_allclose(gram, session.scale_px_per_mm[camera] ** 2 * np.eye(2), atol=1e-9)


def test_two_cameras_determine_the_position_in_3d(session):
    matrices = np.vstack([session.views[camera].projection for camera in CAMERAS])
    pixels = np.concatenate([session.position_px[camera] for camera in CAMERAS], axis=-1)
    position_mm = np.linalg.lstsq(matrices[:, :3], (pixels - matrices[:, 3]).reshape(-1, 4).T, rcond=None)[0].T
    np.testing.assert_allclose(position_mm.reshape(session.position_mm.shape), session.position_mm, atol=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_all_nodes_stay_in_both_pictures(seed):
    for held_out in (False, True):
        session = simulate_session(simulate_mouse(seed, held_out=held_out), seed=seed, n_frames=400)
        for camera in CAMERAS:
            assert (session.position_px[camera] > 2).all()
            assert (session.position_px[camera] < [189, 157]).all()


def test_the_snout_moves_less_than_two_pixels_and_the_jaw_more(session):
    for camera in CAMERAS:
        moved = np.abs(session.position_px[camera] - np.median(session.position_px[camera], axis=0)).max(axis=(0, 2))
        assert (moved[:5] < 2.5).all()
        assert moved[:5].min() > 0.2
        assert moved[JAW_NODE] > 5


def test_jaw_opens_at_4_to_8_hz_in_bouts_with_rests_between(mouse):
    session = simulate_session(mouse, seed=5, n_frames=6000)
    active = session.licking | session.chewing
    assert session.licking.any() and session.chewing.any() and not (session.licking & session.chewing).any()
    starts = np.flatnonzero(np.diff(active.astype(int)) == 1) + 1
    ends = np.flatnonzero(np.diff(active.astype(int)) == -1) + 1
    for start, end in zip(starts[:-1], ends[ends > starts[0]], strict=False):
        if end - start > 100:
            frequency, power = periodogram(session.jaw_opening_mm[start:end], fs=session.fps, detrend="constant")
            assert 4 <= frequency[np.argmax(power)] <= 8
    assert 0.2 < active.mean() < 0.9
    assert session.jaw_opening_mm[~active].max() < 0.2 < 1.0 < session.jaw_opening_mm[session.licking].max()


def test_opening_is_the_arc_of_the_jaw_tip(session):
    head = session.position_mm - session.head_translation_mm[:, None]
    # Turned back with the head, the tip is on a circle about the hinge; the angle times its radius is the opening.
    pivot, hinge = pivot_mm(session.mouse), JAW_HINGE_MM * session.mouse.size
    tip = np.einsum("fji,fj->fi", session.head_rotation, head[:, JAW_NODE] - pivot) + pivot - hinge
    closed = rest_nodes_mm(session.mouse)[JAW_NODE] - hinge
    radius = np.linalg.norm(closed)
    np.testing.assert_allclose(np.linalg.norm(tip, axis=1), radius, atol=1e-9)
    angle = np.arctan2(closed[2], closed[0]) - np.arctan2(tip[:, 2], tip[:, 0])
    np.testing.assert_allclose(angle * radius, session.jaw_opening_mm, atol=1e-6)


@pytest.mark.parametrize("camera", CAMERAS)
def test_frames_are_gray_of_the_size_asked_for_and_as_many_as_asked_for(mouse, camera):
    session = simulate_session(mouse, seed=1, n_frames=5, width=224, height=176)
    frames = list(render_simulation(session, camera))
    assert len(frames) == 5
    assert {(frame.shape, frame.dtype) for frame in frames} == {((176, 224), np.dtype(np.uint8))}
    np.testing.assert_array_equal(list(render_simulation(session, camera, start=3)), frames[3:])
    np.testing.assert_array_equal(list(render_simulation(session, camera, start=1, stop=2)), frames[1:2])


def test_same_seed_same_frames_another_seed_others(mouse):
    def frames(seed):
        session = simulate_session(mouse, seed=seed, n_frames=24, n_hard_bursts=2)
        face = Face(mouse, session.views["lower"])
        chosen = [int(np.argmax(session.paw_height)), int(np.argmax(session.blur_px))]
        return np.array([next(render_frames(session, "lower", frame, frame + 1, face)) for frame in chosen])

    first = frames(7)
    np.testing.assert_array_equal(first, frames(7))
    assert (first != frames(8)).any()


def test_the_sensor_noise_has_its_sd(mouse):
    session = simulate_session(mouse, seed=11, n_frames=3)
    noisy = np.array(list(render_simulation(session, "side")), float)
    quiet = np.array(list(render_simulation(replace(session, mouse=replace(mouse, noise_sd=0.0)), "side")), float)
    dark = quiet < 30
    assert (noisy - quiet)[dark].std() == pytest.approx(0.68 * mouse.noise_sd, rel=0.1)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_picture_shows_each_node_where_it_truly_is(camera):
    # White spots are painted on the solids before anything is projected; their centroids are found in the frame.
    bald = replace(simulate_mouse(6), hair_length_mm=0.0, fur_contrast=0.0, noise_sd=0.0, vignette=0.0)
    session = simulate_session(bald, seed=9, n_frames=400)
    truth = session.position_px[camera]
    nodes_mm = rest_nodes_mm(bald)
    plain = rendered_face(bald, session.views[camera])
    marked = Face(bald, session.views[camera], np.delete(nodes_mm, JAW_NODE, axis=0), nodes_mm[[JAW_NODE]])
    for frame in (int(np.argmax(session.jaw_opening_mm)), int(np.argmax(truth[:, 0, 1]))):
        pair = [next(render_frames(session, camera, frame, frame + 1, face)).astype(float) for face in (plain, marked)]
        spots = np.clip(pair[1] - pair[0] - 2, 0, None)
        y, x = np.indices(spots.shape)
        for node, true_px in zip(NODES, truth[frame], strict=True):
            near = np.where(np.hypot(x - true_px[0], y - true_px[1]) < 2.7, spots, 0)
            assert near.max() > 5, node
            centroid = np.array([(x * near).sum(), (y * near).sum()]) / near.sum()
            assert np.linalg.norm(centroid - true_px) < 0.5, node


def test_hard_bursts_are_short_and_nothing_else_changes(mouse):
    plain = simulate_session(mouse, seed=11, n_frames=1000)
    hard = simulate_session(mouse, seed=11, n_frames=1000, n_hard_bursts=10)
    assert not plain.hard.any()
    np.testing.assert_array_equal(hard.position_mm, plain.position_mm)
    starts = np.flatnonzero(np.diff(np.r_[0, hard.hard.astype(int)]) == 1)
    lengths = np.flatnonzero(np.diff(np.r_[hard.hard.astype(int), 0]) == -1) - starts + 1
    assert len(starts) == 10 and lengths.min() >= 4 and lengths.max() <= 20
    np.testing.assert_array_equal(hard.hard, (hard.blur_px > 0) | (hard.paw_height > 0.8))
    assert (hard.blur_px > 0).any() and (hard.paw_height > 0.8).any()


@pytest.mark.parametrize("camera", CAMERAS)
def test_hard_frames_are_blurred_or_occluded_in_the_picture(mouse, camera):
    noiseless = replace(mouse, noise_sd=0.0)
    plain = simulate_session(noiseless, seed=11, n_frames=120)
    hard = simulate_session(noiseless, seed=11, n_frames=120, n_hard_bursts=4)
    x, y = np.rint(hard.position_px[camera][:, :5].mean(axis=1)).astype(int).T
    pairs = zip(render_simulation(plain, camera), render_simulation(hard, camera), strict=True)
    for frame, (before, after) in enumerate(pairs):
        if hard.paw_height[frame] == hard.blur_px[frame] == 0:
            np.testing.assert_array_equal(before, after)
        elif hard.blur_px[frame] > 0:
            sharpness = [cv2.Laplacian(image, cv2.CV_64F).var() for image in (before, after)]
            assert sharpness[1] < 0.5 * sharpness[0]
        elif hard.hard[frame]:
            snout = slice(max(y[frame] - 14, 0), y[frame] + 14), slice(max(x[frame] - 14, 0), x[frame] + 14)
            changed = np.abs(after[snout].astype(int) - before[snout]) > 10
            assert changed.mean() > 0.15


@pytest.mark.parametrize("length_px", [4.0, 11.3, 18.0])
def test_blur_keeps_the_light_and_its_center(length_px):
    kernel = rendering_blur_kernel(length_px, 0.7)
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * x).sum() == pytest.approx(0, abs=0.1)
    assert (kernel * y).sum() == pytest.approx(0, abs=0.1)
    # A uniform line of length L has the variance L^2 / 12; sharing light between pixels adds less than 1/2.
    assert -0.1 < (kernel * (x * x + y * y)).sum() - length_px**2 / 12 < 0.5


def test_held_out_mice_differ_more():
    trained_on, held_out = ([simulate_mouse(seed, held_out=flag) for seed in range(60)] for flag in (False, True))
    for name in ("size", "snout_width", "snout_height", "cheek", "light_azimuth_deg", "fur_contrast", "vignette"):
        assert np.std([getattr(m, name) for m in held_out]) > 1.5 * np.std([getattr(m, name) for m in trained_on])
    assert not {m.coat for m in held_out} & {m.coat for m in trained_on}
    assert np.mean([m.noise_sd for m in held_out]) > np.mean([m.noise_sd for m in trained_on])
    assert np.mean([m.brightness for m in held_out]) < np.mean([m.brightness for m in trained_on])


def test_same_seed_same_mouse():
    assert simulate_mouse(5) == simulate_mouse(5)
    assert simulate_mouse(5) != simulate_mouse(5, held_out=True)


def test_frame_rate_may_be_a_fraction_and_samples_the_same_motion(mouse):
    fps = Fraction(30000, 1001)
    session = simulate_session(mouse, seed=2, n_frames=91, fps=fps)
    assert session.time[30] == pytest.approx(30 * 1001 / 30000, abs=1e-12)
    fast = simulate_session(mouse, seed=2, n_frames=901, fps=fps * 10)
    np.testing.assert_allclose(session.position_mm[:90], fast.position_mm[::10][:90], atol=1e-9)


def test_what_cannot_be_simulated_is_refused(mouse, session):
    with pytest.raises(SimulationError, match="12 a burst"):
        simulate_session(mouse, seed=0, n_frames=20, n_hard_bursts=2)
    with pytest.raises(SimulationError, match="side, lower"):
        render_simulation(session, "top")
