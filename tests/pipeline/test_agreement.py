"""Whatever is changed in a lab, all answers about it agree: queries, exports, comparisons, the report and `why`.

Each change is made in one lab, one after the other. What is true then is read from the tables that hold what was made
(`DeployedModel`, `Model`, `FilteredTrack`), and every answer is compared with it and with the arrays in the store.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compute.errors import LeftOutWarning
from compute.labels import write_package
from compute.measures.distances import distance_px
from compute.tracks import Tracks
from orofacial import read

Orofacial = Callable[..., subprocess.CompletedProcess[str]]
PAIR = ("left_snout_tip", "right_snout_tip")
METHOD = "median"
NETWORK = "DLC_resnet50_snoutJan5shuffle1_50000"


@dataclass(frozen=True)
class Track:
    """What is true of the tracks of one video and deployed model."""

    model_id: str
    model_name: str
    held_out: bool | None
    jaw_x_px: float
    distance_px: float | None

    @property
    def identity(self) -> tuple[str, str, bool | None]:
        return self.model_id, self.model_name, self.held_out


Videos = dict[tuple[str, str, str], Track]
"""By mouse, camera and model."""


def truth() -> Videos:
    """The tracks of deployed models, from the tables."""
    from schemas.model import DeployedModel, Model
    from schemas.track import FilteredTrack, fetch_tracks

    models = {row["model_id"]: row for row in Model.proj("model_name", "training_mice_known").to_dicts()}
    trained = {(row["model_id"], row["mouse_id"]) for row in Model.Mouse.to_dicts()}
    deployed = set(DeployedModel.to_arrays("model_id"))
    videos: Videos = {}
    for key in (FilteredTrack & {"filter_method": METHOD}).proj().to_dicts():
        if key["model_id"] not in deployed:
            continue
        model = models[key["model_id"]]
        known = True if model["training_mice_known"] else None
        held_out = False if (key["model_id"], key["mouse_id"]) in trained else known
        tracks = fetch_tracks(key)
        jaw = float(np.nanmean(tracks.position[:, tracks.node_index("jaw_tip"), 0].astype(np.float64)))
        measured = set(PAIR) <= set(tracks.nodes)
        between = float(np.nanmean(distance_px(tracks, *PAIR))) if measured else None
        track = Track(key["model_id"], model["model_name"], held_out, jaw, between)
        videos[key["mouse_id"], key["camera"], key["model_id"]] = track
    return videos


def identities(rows: list[dict[str, Any]]) -> dict[tuple[str, str, str], tuple[str, str, bool | None]]:
    """Model, its name and whether the mouse was held out, of each video in an answer; no video is in it twice."""
    found = {
        (row["mouse_id"], row["camera"], row["model_id"]): (row["model_id"], row["model_name"], row["held_out"])
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def check_queries(videos: Videos) -> None:
    """Tracks, manifest, SQL, qualities and distances are of the deployed models, with the values of the store."""
    from pipeline import query

    expected = {video: track.identity for video, track in videos.items()}
    selection = query.tracks(filter=METHOD)
    assert identities(selection.rows) == expected
    for row, tracks in selection:
        jaw = np.nanmean(tracks.position[:, tracks.node_index("jaw_tip"), 0].astype(np.float64))
        assert jaw == pytest.approx(videos[row["mouse_id"], row["camera"], row["model_id"]].jaw_x_px)
    assert identities(query.manifest(filter=METHOD).to_pylist()) == expected
    statement = (
        "select mouse_id, camera, model_id, model_name, held_out, avg(jaw_tip_x) as jaw_x_px from tracks group by all"
    )
    answered = query.ask_sql(statement, filter=METHOD).to_pylist()
    assert identities(answered) == expected
    for row in answered:
        track = videos[row["mouse_id"], row["camera"], row["model_id"]]
        assert row["jaw_x_px"] == pytest.approx(track.jaw_x_px, rel=1e-5)
    jaws = [row for row in query.qualities().to_pylist() if row["node"] == "jaw_tip"]
    assert identities(jaws) == expected
    measured = [row for row in query.distances(filter=METHOD).to_pylist() if (row["node_a"], row["node_b"]) == PAIR]
    assert identities(measured) == {video: one for video, one in expected.items() if videos[video].distance_px}
    for row in measured:
        track = videos[row["mouse_id"], row["camera"], row["model_id"]]
        assert row["mean_px"] == pytest.approx(track.distance_px, rel=1e-5)
        in_mm = None if row["px_per_mm"] is None else row["mean_px"] / row["px_per_mm"]
        assert row["mean_mm"] == pytest.approx(in_mm)


def check_groups(videos: Videos, folder: Path) -> None:
    """The comparison, the report and its numbers count each mouse of each group once, with the distances' means."""
    from pipeline.figures.report import write_report
    from pipeline.query.filter_comparison import compare_filters
    from schemas.training_mice import TRAINING_GROUPS, training_group

    measured = {video: track for video, track in videos.items() if track.distance_px is not None}
    counts: dict[str, dict[str, set[str]]] = {}
    for (mouse, _, model_id), track in measured.items():
        groups = counts.setdefault(model_id, {group: set() for group in TRAINING_GROUPS})
        groups[training_group(track.held_out)].add(mouse)
    compared = {one.model_id: one for one in compare_filters()}
    expected = {model: {group: len(mice) for group, mice in groups.items()} for model, groups in counts.items()}
    assert {model: one.n_mice for model, one in compared.items()} == expected
    assert all(one.is_deployed for one in compared.values())

    write_report(folder / "report.html", summary_file=folder / "report.json")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for track in videos.values():
        assert track.model_name in page and track.model_id in page
    rows = [row for row in json.loads((folder / "report.json").read_text()) if row["filter_method"] == METHOD]
    rows = [row for row in rows if row["pair"] == " - ".join(PAIR)]
    assert {(row["model_id"], row["group"]): row["n_mice"] for row in rows} == {
        (model, group): number for model, groups in expected.items() for group, number in groups.items() if number
    }
    for row in rows:
        of_group = [
            track.distance_px
            for track in measured.values()
            if track.model_id == row["model_id"] and training_group(track.held_out) == row["group"]
        ]
        assert row["mean_px"] == pytest.approx(np.mean(of_group), rel=1e-5)  # type: ignore[arg-type]


def check_why(videos: Videos) -> None:
    """`why` names the same model, and the same metadata as the queries."""
    from pipeline import query
    from pipeline.why import why_chain
    from schemas.session import Session
    from schemas.subject import Mouse

    selection = query.tracks(filter=METHOD)
    for row, details in zip(selection.rows, selection.details, strict=True):
        chain = why_chain(row)
        track = videos[row["mouse_id"], row["camera"], row["model_id"]]
        assert (chain["model"]["model_id"], chain["model"]["model_name"], chain["model"]["held_out"]) == track.identity
        for table, part in ((Mouse, chain["mouse"]), (Session, chain["recording"])):
            for column in (column.name for column in table.metadata if column.is_text):
                assert part[column] == details[column]


def check_commands(videos: Videos, orofacial: Orofacial, folder: Path) -> None:
    """Commands say the same: tracks, why, and an export with its values."""
    listed = json.loads(orofacial("tracks", "--filter", METHOD, "--json").stdout)["tracks"]
    assert identities(listed) == {video: track.identity for video, track in videos.items()}
    exported = orofacial("export", "csv", "-o", folder / "csv", "--filter", METHOD, "--node", "jaw_tip", "--json")
    files = json.loads(exported.stdout)["written"]
    assert len(files) == len(videos), exported.stderr
    for (mouse, camera, model_id), track in videos.items():
        (file,) = [one for one in files if f"{mouse}_" in one and f"_{camera}_" in one and model_id[:8] in one]
        tracks = read(file)
        assert isinstance(tracks, Tracks)
        assert np.nanmean(tracks.position[:, 0, 0]) == pytest.approx(track.jaw_x_px, rel=1e-4)
    mouse = min(mouse for mouse, *_ in videos)
    chains = json.loads(orofacial("why", f"{mouse}/2026-03-02_1", "--filter", METHOD, "--json").stdout)["chains"]
    assert {(chain["camera"], chain["model"]["model_id"]) for chain in chains} == {
        (camera, model_id) for of, camera, model_id in videos if of == mouse
    }


def computed() -> None:
    from pipeline.work.populate import populate

    assert not populate().failed


def another_model(lab: Any, name: str) -> str:
    """A second model of the side camera that was trained on mouse03; its tracks lie 2 px beside those of the first."""
    from schemas.evaluation import ModelEvaluation
    from schemas.model import Model
    from schemas.pose import PoseEstimation

    first = lab.model_ids["side"]
    model_id = name.ljust(16, "0")
    if Model & {"model_id": model_id}:
        return model_id
    bundle = lab.raw_folder.parent / name
    bundle.mkdir()
    (bundle / "weights").write_text(name)
    row = (Model & {"model_id": first}).fetch1()
    Model.insert1({**row, "model_id": model_id, "model_name": f"{name} side", "bundle": bundle})
    Model.Mouse.insert1({"model_id": model_id, "mouse_id": "mouse03"})
    labels = (ModelEvaluation & {"model_id": first}).fetch1("labels_id")
    seen_all = {"known_unseen": True, "n_evaluated_frames": 0, "n_seen_frames": 4}
    ModelEvaluation.insert1({"model_id": model_id, "labels_id": labels, **seen_all}, allow_direct_insert=True)
    for estimated in (PoseEstimation & {"model_id": first}).to_dicts():
        tracks = estimated["tracks"].tracks()
        moved = replace(tracks, position=tracks.position + 2)
        PoseEstimation.insert1({**estimated, "model_id": model_id, "tracks": moved}, allow_direct_insert=True)
    return model_id


def as_it_was_made(lab: Any, orofacial: Orofacial) -> None:
    """Nothing is changed."""


def another_model_is_deployed(lab: Any, orofacial: Orofacial) -> None:
    other = another_model(lab, "other")
    computed()
    assert orofacial("model", "deploy", other).returncode == 0


def both_are_deployed(lab: Any, orofacial: Orofacial) -> None:
    assert orofacial("model", "deploy", lab.model_ids["side"], "--beside").returncode == 0


def one_is_undeployed(lab: Any, orofacial: Orofacial) -> None:
    assert orofacial("model", "undeploy", another_model(lab, "other")).returncode == 0


def labels_are_imported_again_with_their_mouse(lab: Any, orofacial: Orofacial) -> None:
    """The model of the lower camera was trained on frames of which nobody told the mouse, until now."""
    lower = ("mouse03", "lower", lab.model_ids["lower"])
    file = _train_on_frames_of_no_known_mouse(lab)
    assert truth()[lower].held_out is None
    done = orofacial("labels", "import", file, "--camera", "lower", "--mouse", "mouse03", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"] == [lab.model_ids["lower"]]
    assert truth()[lower].held_out is False


def _train_on_frames_of_no_known_mouse(lab: Any) -> Path:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames
    from schemas.model import Model

    key = {"model_id": lab.model_ids["lower"]}
    file = Path(lab.raw_folder.parent / "unnamed.pkg.slp")
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 64), np.uint8)
    write_package(file, images, np.full((2, 1, 2), 20.0), ["jaw_tip"], [], [("clip.mp4", 0), ("clip.mp4", 1)])
    labels = {"labels_id": import_labels(file, camera="lower").labels_id}
    hashes = (LabeledFrames.Source & labels).to_arrays("image_hash")
    Model.Frame.insert([{**key, "image_hash": image_hash} for image_hash in hashes])
    Model.update1({**key, "training_mice_known": False})
    return file


def a_pair_is_changed(lab: Any, orofacial: Orofacial) -> None:
    added = orofacial("pairs", "add", *PAIR, "--moving")
    assert added.returncode == 0, added.stderr
    computed()


def poses_of_another_program_are_imported_and_deployed(lab: Any, orofacial: Orofacial) -> None:
    imported = _import_poses(lab, orofacial)
    assert orofacial("model", "deploy", imported["model_id"]).returncode == 0
    computed()


def a_model_is_imported_again_with_its_mice(lab: Any, orofacial: Orofacial) -> None:
    _import_poses(lab, orofacial, "--mouse", "mouse02")
    computed()


def _import_poses(lab: Any, orofacial: Orofacial, *options: str) -> dict[str, Any]:
    """Poses of DeepLabCut beside the side video of mouse02 only."""
    file = lab.raw_folder / "mouse02" / "2026-03-02_1" / f"side{NETWORK}.h5"
    if not file.exists():
        values = np.random.default_rng(0).uniform(1, 40, (200, 6)) / [1, 1, 40, 1, 1, 40]
        names = [[NETWORK], ["snout", "jaw_tip"], ["x", "y", "likelihood"]]
        columns = pd.MultiIndex.from_product(names, names=["scorer", "bodyparts", "coords"])
        pd.DataFrame(values, columns=columns).to_hdf(file, key="df_with_missing", format="table")
        os.utime(file, (1_700_000_000, 1_700_000_000))
    done = orofacial("model", "import", file, "--camera", "side", "--name", "snouts", *options, "--json")
    assert done.returncode == 0, done.stderr
    imported: dict[str, Any] = json.loads(done.stdout)
    return imported


def the_metadata_of_a_session_are_corrected(lab: Any, orofacial: Orofacial) -> None:
    from schemas.metric import DistanceMetrics
    from schemas.session import Session
    from schemas.subject import Mouse

    for mouse, said, now in (
        ("mouse01", "rig 1", "rig 2"),
        ("mouse02", "wild type", "het"),
        ("mouse02", "10.0", "20.0"),
    ):
        path = lab.raw_folder / mouse / "2026-03-02_1" / "session.toml"
        path.write_text(path.read_text().replace(said, now))
    done = orofacial("ingest", lab.raw_folder, "--stable-after", 0, "--json")
    assert json.loads(done.stdout)["counts"] == {"corrected": 2, "known": 1}, done.stderr
    assert (Session & {"mouse_id": "mouse01"}).fetch1("rig") == "rig 2"
    assert (Mouse & {"mouse_id": "mouse02"}).fetch1("genotype") == "het"
    assert not DistanceMetrics & {"mouse_id": "mouse02"}
    computed()


CHANGES = (
    as_it_was_made,
    another_model_is_deployed,
    both_are_deployed,
    one_is_undeployed,
    a_pair_is_changed,
    labels_are_imported_again_with_their_mouse,
    the_metadata_of_a_session_are_corrected,
    poses_of_another_program_are_imported_and_deployed,
    a_model_is_imported_again_with_its_mice,
)
"""In this order, each on top of those before."""


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_all_answers_agree_after(
    small_lab: Any, orofacial: Orofacial, tmp_path: Path, change: Callable[[Any, Orofacial], None]
) -> None:
    change(small_lab, orofacial)
    videos = truth()
    assert videos
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOutWarning)
        check_queries(videos)
        check_groups(videos, tmp_path)
        check_why(videos)
        check_commands(videos, orofacial, tmp_path)


def test_a_camera_without_a_deployed_model_is_said_by_every_answer(
    small_lab: Any, orofacial: Orofacial, tmp_path: Path
) -> None:
    from compute.errors import OrofacialError
    from ingest.deployment import deploy, undeploy
    from pipeline import query
    from pipeline.figures.report import write_report
    from pipeline.query.chosen_filters import choose_filters
    from pipeline.query.filter_comparison import compare_filters

    lower = small_lab.model_ids["lower"]
    undeploy(lower)
    said = f"no model is deployed for camera lower.*{lower}"
    asked: list[Callable[[], Any]] = [
        *(lambda ask=ask: ask(camera="lower") for ask in (query.tracks, query.manifest, query.qualities)),
        lambda: query.distances(camera="lower"),
        lambda: query.sql("select 1", camera="lower"),
        lambda: compare_filters(camera="lower"),
        lambda: choose_filters(camera="lower"),
    ]
    for ask in asked:
        with pytest.raises(OrofacialError, match=said):
            ask()
        # Of the other camera there are answers, and what they leave out is said.
    with pytest.warns(LeftOutWarning, match=said):
        assert {row["camera"] for row in query.tracks().rows} == {"side"}
    with pytest.warns(LeftOutWarning, match=said):
        write_report(tmp_path / "report.html")
    assert "no model is deployed for camera lower" in (tmp_path / "report.html").read_text(encoding="utf-8")
    refused = orofacial("tracks", "--camera", "lower")
    assert refused.returncode == 1 and f"--model {lower}" in refused.stderr
    chosen = orofacial("tracks", "--camera", "lower", "--model", "small lower", "--json")
    assert {row["model_id"] for row in json.loads(chosen.stdout)["tracks"]} == {lower}
    partly = orofacial("tracks", "--json")
    assert f"--model {lower}" in partly.stderr and json.loads(partly.stdout)["left_out"]
    deploy(lower)
