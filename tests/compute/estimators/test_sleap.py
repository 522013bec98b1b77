"""The SLEAP estimator on bright and dark blobs whose positions are known: right, repeatable, quiet, and strict."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from compute.errors import LabelsError, ModelError, VideoError
from compute.estimators import sleap
from compute.estimators.sleap.bundle import read_bundle
from compute.labels import labeled_image_hash, labeled_images, load_package, split_labeled_frames, write_package
from compute.video import write_video

HEIGHT, WIDTH = 48, 64
NODES = ("snout", "jaw_tip")
CONFIG = {
    "filters": 8,
    "max_stride": 8,
    "output_stride": 2,
    "sigma": 2.0,
    "learning_rate": 4e-3,
    "epochs": 24,
    "batch_size": 4,
    "brightness_range": 0.0,
    "contrast_range": 0.0,
}
ROOT = Path(__file__).parents[3]


def make_sample(folder):
    """A folder that `sleap` recognises as its own, see test_contract.py."""
    (folder / "best.ckpt").write_bytes(b"weights")
    (folder / "training_config.yaml").write_text("{}")
    return folder


def make_blobs(n_frames, seed):
    """Frames with a round bright blob and a wide flat bright one, and their centers, shape (frame, node, 2)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    position = np.stack([rng.uniform(8, WIDTH - 8, (n_frames, 2)), rng.uniform(8, HEIGHT - 8, (n_frames, 2))], axis=-1)
    dx, dy = x - position[..., 0, None, None], y - position[..., 1, None, None]
    images = (
        30 + 120 * np.exp(-(dx[:, 0] ** 2 + dy[:, 0] ** 2) / 8) + 80 * np.exp(-(dx[:, 1] ** 2 / 60 + dy[:, 1] ** 2 / 8))
    )
    return np.clip(images.round(), 0, 255).astype(np.uint8), position


def write_blobs(path, n_frames, seed, shift=(0, 0), nodes=NODES):
    images, position = make_blobs(n_frames, seed)
    order = [NODES.index(node) for node in nodes]
    sources = [(f"{path.stem}.mp4", index) for index in range(n_frames)]
    write_package(path, images, position[:, order] + shift, nodes, [], sources)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labels to train on, a trained bundle, and what training reported."""
    folder = tmp_path_factory.mktemp("sleap")
    write_blobs(folder / "train.pkg.slp", 40, seed=0)
    reported = []
    sleap.train_with_sleap(
        folder / "train.pkg.slp",
        CONFIG,
        seed=5,
        bundle_folder=folder / "bundle",
        progress=lambda done, total: reported.append((done, total)),
    )
    (folder / "reported.json").write_text(json.dumps(reported))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return sleap.load_sleap_estimator(folder / "bundle")


@pytest.fixture(scope="module")
def video(folder):
    """101 frames at an odd rate, more than one batch and not a multiple of it."""
    write_video(folder / "video.mp4", make_blobs(101, seed=9)[0], Fraction(30000, 1001), crf=0)
    return folder / "video.mp4"


def test_positions_are_right_and_not_off_by_half_a_pixel(model, video):
    tracks = model.estimate(video)
    error = tracks.position - make_blobs(101, seed=9)[1]
    apart = np.linalg.norm(np.diff(make_blobs(101, seed=9)[1], axis=1)[:, 0], axis=-1) > 12  # blobs do not overlap
    snout = error[apart, 0]
    assert np.nanmedian(np.linalg.norm(snout, axis=-1)) < 0.5
    assert np.abs(np.nanmedian(snout, axis=0)).max() < 0.2


def test_tracks_have_one_row_a_frame_and_exact_times(model, video):
    tracks = model.estimate(video)
    assert tracks.n_frames == 101
    assert tracks.nodes == NODES
    assert [Fraction(t).limit_denominator(100_000) for t in tracks.time[[0, 1, 100]]] == [
        0,
        Fraction(1001, 30000),
        Fraction(100 * 1001, 30000),
    ]
    camera = np.linspace(5, 9, 101)
    np.testing.assert_array_equal(model.estimate(video, time=camera).time, camera)


def test_times_that_do_not_fit_the_frames_are_refused(model, video):
    with pytest.raises(VideoError, match="101 frames"):
        model.estimate(video, time=np.arange(100.0))


def test_results_do_not_depend_on_the_batch(folder, model, video):
    other = sleap.estimate_with_sleap(folder / "bundle", video, batch_size=16, minimum_score=0)
    np.testing.assert_allclose(other.position, model.estimate(video, minimum_score=0).position, atol=0.01)


def test_estimates_agree_with_sleap_nn_itself(folder, model, video):
    from sleap_nn.inference.predictor import Predictor

    # sleap-nn's own reader and memory format; only the refinement window is ours.
    predictor = Predictor.from_model_paths([str(folder / "bundle")], peak_threshold=0.0, integral_patch_size=9)
    theirs = np.concatenate([batch.pred_keypoints[:, 0].numpy() for batch in predictor.predict_streaming(str(video))])
    ours = model.estimate(video, minimum_score=0)
    np.testing.assert_allclose(ours.position, theirs, atol=0.02)


def test_minimum_score_decides_what_was_found(model, video):
    everything = model.estimate(video, minimum_score=0)
    middle = float(np.median(everything.score))
    some, low = model.estimate(video, minimum_score=middle), everything.score < middle
    assert everything.found.all()
    assert low.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(some.found, ~low)
    np.testing.assert_array_equal(some.score[low], 0)
    np.testing.assert_array_equal(some.position[~low], everything.position[~low])


def test_progress_reports_epochs_and_frames(folder, model, video):
    reported = json.loads((folder / "reported.json").read_text())
    assert reported[0] == [1, 24] and reported[-1] == [24, 24]
    frames = []
    model.estimate(video, progress=lambda done, total: frames.append((done, total)))
    assert frames[0] == (8, 101) and frames[-1] == (101, 101)


@pytest.mark.slow
def test_a_fresh_process_trains_the_same_bytes_in_silence_and_leaves_nothing(folder, tmp_path):
    places = {name: tmp_path / name for name in ("home", "current", "temporary")}
    for place in places.values():
        place.mkdir()
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from compute.estimators import sleap
bundle_folder = {str(tmp_path / "bundle")!r}
sleap.train_with_sleap({str(folder / "train.pkg.slp")!r}, {CONFIG!r}, seed=5, bundle_folder=bundle_folder)
"""
    environment = {"HOME": str(places["home"]), "TMPDIR": str(places["temporary"]), "PATH": "/usr/bin:/bin"}
    environment |= {"MPLCONFIGDIR": str(tmp_path / "matplotlib")}  # matplotlib keeps its list of fonts, not we
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=places["current"], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert [path for place in places.values() for path in place.rglob("*") if path.is_file()] == []
    names = sorted(path.name for path in (tmp_path / "bundle").iterdir())
    assert names == ["best.ckpt", "bundle.json", "training_config.yaml"]
    for name in names:
        assert (tmp_path / "bundle" / name).read_bytes() == (folder / "bundle" / name).read_bytes()


def test_a_bundle_says_what_it_was_trained_on(folder):
    bundle = read_bundle(folder / "bundle")
    assert (bundle.nodes, bundle.height_px, bundle.width_px, bundle.seed) == (NODES, HEIGHT, WIDTH, 5)
    assert (bundle.n_training_frames, bundle.config["epochs"]) == (36, 24)
    assert "optimizer_states" not in torch.load(folder / "bundle" / "best.ckpt", weights_only=True)


def test_evaluate_measures_a_known_shift_for_each_node(folder, model, tmp_path):
    exact = model.evaluate(write_blobs(tmp_path / "exact.pkg.slp", 30, seed=9))
    shifted = model.evaluate(write_blobs(tmp_path / "shift.pkg.slp", 30, seed=9, shift=(6, 8), nodes=NODES[::-1]))
    assert exact.n_frames == 30
    assert exact.overall.n + exact.overall.n_missed == 60
    assert exact.nodes["snout"].p50_px < 0.5
    assert shifted.nodes["snout"].p50_px == pytest.approx(10, abs=0.5)


def test_evaluate_takes_the_chosen_frames_only(model, tmp_path):
    images, position = make_blobs(30, seed=9)
    position[::2] += (6, 8)
    write_package(tmp_path / "half.pkg.slp", images, position, NODES, [], [("a", i) for i in range(30)])
    exact = model.evaluate(tmp_path / "half.pkg.slp", frames=range(1, 30, 2))
    shifted = model.evaluate(tmp_path / "half.pkg.slp", frames=[28, 0, 2, 4, 6, 8, 10, 12])
    assert (exact.n_frames, shifted.n_frames) == (15, 8)
    assert exact.nodes["snout"].p50_px < 0.5
    assert shifted.nodes["snout"].p50_px == pytest.approx(10, abs=0.5)
    every = model.evaluate(tmp_path / "half.pkg.slp")
    np.testing.assert_allclose(shifted.error_px, every.error_px[[28, 0, 2, 4, 6, 8, 10, 12]], atol=1e-3)
    assert every.error_px.shape == (30, 2)
    found = every.error_px[np.isfinite(every.error_px)]
    assert (found.size, np.isinf(every.error_px).sum()) == (every.overall.n, every.overall.n_missed)
    assert np.median(found) == pytest.approx(every.overall.p50_px)


@pytest.mark.parametrize(
    ("frames", "said"), [([0, 3], "index 3; expected 0 to 2"), ([-1], "index -1"), ([], "no labeled")]
)
def test_evaluate_refuses_frames_that_are_not_there(model, tmp_path, frames, said):
    write_blobs(tmp_path / "three.pkg.slp", 3, seed=1)
    with pytest.raises(LabelsError, match=said):
        model.evaluate(tmp_path / "three.pkg.slp", frames=frames)


def test_evaluate_refuses_labels_with_another_skeleton(model, tmp_path):
    images, position = make_blobs(3, seed=1)
    write_package(tmp_path / "other.pkg.slp", images, position, ["snout", "tail"], [], [("a", i) for i in range(3)])
    with pytest.raises(LabelsError, match="tail"):
        model.evaluate(tmp_path / "other.pkg.slp")


def test_a_video_of_another_size_is_refused(model, tmp_path):
    write_video(tmp_path / "large.mp4", np.zeros((3, HEIGHT, WIDTH + 2), np.uint8), 30)
    with pytest.raises(ModelError, match="66 x 48 px, but the model"):
        model.estimate(tmp_path / "large.mp4")


@pytest.mark.parametrize("fraction", [0.0, 0.6, 0.95])
def test_a_video_that_was_cut_off_gives_no_tracks(model, video, tmp_path, fraction):
    content = video.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(VideoError, match=r"cut\.mp4"):
        model.estimate(tmp_path / "cut.mp4")


def test_a_model_trained_elsewhere_is_imported(folder, model, video, tmp_path):
    shutil.copytree(folder / "bundle", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "bundle.json").unlink()
    with pytest.raises(ModelError, match="import it first"):
        sleap.load_sleap_estimator(tmp_path / "elsewhere")
    bundle = sleap.import_bundle(tmp_path / "elsewhere", tmp_path / "imported")
    assert (bundle.nodes, bundle.height_px, bundle.width_px, bundle.config) == (NODES, HEIGHT, WIDTH, {})
    assert bundle.n_channels == 1 and bundle.training_frames is None and bundle.training_mice is None
    ours, theirs = model.estimate(video), sleap.estimate_with_sleap(tmp_path / "imported", video)
    np.testing.assert_array_equal(ours.position, theirs.position)


def make_color_model(source, target):
    """A folder of SLEAP with the same network for color, which looks at the red channel only."""
    shutil.copytree(source, target)
    (target / "bundle.json").unlink()
    config = OmegaConf.load(target / "training_config.yaml")
    config.model_config.backbone_config.unet.in_channels = 3
    config.data_config.preprocessing.ensure_grayscale = False
    OmegaConf.save(config, target / "training_config.yaml")
    checkpoint = torch.load(target / "best.ckpt", weights_only=False)
    state = checkpoint["state_dict"]
    (first,) = [name for name, weight in state.items() if weight.ndim == 4 and weight.shape[1] == 1]
    nothing = torch.zeros_like(state[first])
    state[first] = torch.cat([state[first], nothing, nothing], dim=1)
    torch.save(checkpoint, target / "best.ckpt")
    return target


def write_color_video(path, images):
    """A video whose red channel holds these images, and whose green and blue hold other ones."""
    others = make_blobs(len(images), seed=77)[0]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for red, other in zip(images, others, strict=True):
            frame = av.VideoFrame.from_ndarray(np.stack([red, other, other], axis=-1), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path


def test_a_model_for_color_is_shown_the_colors_that_it_was_trained_on(folder, model, tmp_path):
    images, _ = make_blobs(12, seed=9)
    bundle = sleap.import_bundle(make_color_model(folder / "bundle", tmp_path / "color"), tmp_path / "imported")
    assert bundle.n_channels == sleap.read_bundle(tmp_path / "imported").n_channels == 3
    found = sleap.load_sleap_estimator(tmp_path / "imported").estimate(
        write_color_video(tmp_path / "color.mkv", images)
    )
    write_video(tmp_path / "gray.mp4", images, 30, crf=0)
    expected = model.estimate(tmp_path / "gray.mp4")
    np.testing.assert_allclose(found.position, expected.position, atol=0.05)
    # A gray video has three equal channels.
    found = sleap.load_sleap_estimator(tmp_path / "imported").estimate(tmp_path / "gray.mp4")
    np.testing.assert_allclose(found.position, expected.position, atol=0.05)


def test_a_model_for_color_has_no_error_on_the_gray_images_of_labels(folder, tmp_path):
    sleap.import_bundle(make_color_model(folder / "bundle", tmp_path / "color"), tmp_path / "imported")
    with pytest.raises(ModelError, match=r"trained on color, the images of .*train\.pkg\.slp are gray"):
        sleap.load_sleap_estimator(tmp_path / "imported").evaluate(folder / "train.pkg.slp")


def test_a_model_for_color_that_an_older_version_imported_is_not_shown_gray(folder, tmp_path):
    sleap.import_bundle(make_color_model(folder / "bundle", tmp_path / "color"), tmp_path / "imported")
    description = tmp_path / "imported" / "bundle.json"
    content = json.loads(description.read_text())
    del content["n_channels"]
    description.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="import it again"):
        sleap.load_sleap_estimator(tmp_path / "imported")


def test_a_model_for_other_channels_is_refused(folder, tmp_path):
    color = make_color_model(folder / "bundle", tmp_path / "four")
    config = OmegaConf.load(color / "training_config.yaml")
    config.model_config.backbone_config.unet.in_channels = 4
    OmegaConf.save(config, color / "training_config.yaml")
    with pytest.raises(ModelError, match="reads 4 channels"):
        sleap.import_bundle(color, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("kept", [True, False])
def test_an_imported_model_says_which_frames_it_was_trained_on_where_sleap_kept_them(folder, tmp_path, kept):
    model_folder = tmp_path / "elsewhere"
    shutil.copytree(folder / "bundle", model_folder)
    (model_folder / "bundle.json").unlink()
    labels = load_package(folder / "train.pkg.slp")
    fitted, chose = split_labeled_frames(labels, 0.1, 5)
    fitted.save(str(model_folder / "labels_gt.train.0.slp"), restore_original_videos=False)  # as sleap-nn calls it
    if kept:
        chose.save(str(model_folder / "labels_gt.val.0.slp"), restore_original_videos=False)
    bundle = sleap.import_bundle(model_folder, tmp_path / "imported")
    if not kept:  # half of it is no answer
        assert bundle.training_frames is None
        return
    expected = {labeled_image_hash(image) for image in labeled_images(labels)}
    assert {frame.image_hash for frame in bundle.training_frames} == expected and len(expected) == 40
    assert sleap.read_bundle(tmp_path / "imported").training_frames is None  # they are no part of its identity
    assert bundle.training_mice is None


@pytest.mark.parametrize("missing", ["best.ckpt", "training_config.yaml"])
def test_a_bundle_without_its_files_is_refused(folder, tmp_path, missing):
    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / missing).unlink()
    for use in (sleap.load_sleap_estimator, lambda path: sleap.import_bundle(path, tmp_path / "new")):
        with pytest.raises(ModelError, match=f"no {missing}"):
            use(tmp_path / "bundle")
    assert not (tmp_path / "new").exists()


def test_broken_weights_are_refused(folder, tmp_path):
    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "best.ckpt").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        sleap.load_sleap_estimator(tmp_path / "bundle")
    with pytest.raises(ModelError, match="cannot be read"):
        sleap.import_bundle(tmp_path / "bundle", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


def test_a_model_for_several_animals_is_refused(folder, tmp_path):
    shutil.copytree(folder / "bundle", tmp_path / "model")
    config = OmegaConf.load(tmp_path / "model" / "training_config.yaml")
    config.model_config.head_configs.single_instance = None
    config.model_config.head_configs.centroid = {"confmaps": {"sigma": 2.0, "output_stride": 2}}
    OmegaConf.save(config, tmp_path / "model" / "training_config.yaml")
    with pytest.raises(ModelError, match="'centroid'"):
        sleap.import_bundle(tmp_path / "model", tmp_path / "new")


def test_training_refuses_what_cannot_work(folder, tmp_path):
    labels = folder / "train.pkg.slp"
    with pytest.raises(ModelError, match="has no epoch;"):
        sleap.train_with_sleap(labels, {"epoch": 3}, seed=1, bundle_folder=tmp_path / "new")
    with pytest.raises(ModelError, match="exists already"):
        sleap.train_with_sleap(labels, CONFIG, seed=1, bundle_folder=folder / "bundle")
    images, position = make_blobs(4, seed=1)
    position[:, 1] = np.nan
    write_package(tmp_path / "half.pkg.slp", images, position, NODES, [], [("a", i) for i in range(4)])
    with pytest.raises(LabelsError, match="jaw_tip was placed in no training frame"):
        sleap.train_with_sleap(tmp_path / "half.pkg.slp", CONFIG, seed=1, bundle_folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_training_leaves_no_bundle(folder, tmp_path, error):
    def stop(done, total):
        raise error

    with pytest.raises(error):
        sleap.train_with_sleap(folder / "train.pkg.slp", CONFIG, seed=1, bundle_folder=tmp_path / "new", progress=stop)
    assert list(tmp_path.iterdir()) == []
