"""`orofacial model`: poses that another program wrote come in by command, beside a model that is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compute.errors import LeftOutWarning, SeveralModelsWarning

NETWORK = "DLC_resnet50_snoutJan5shuffle1_50000"
Orofacial = Callable[..., subprocess.CompletedProcess[str]]


def write_poses(path: Path, n_frames: int) -> None:
    """Poses of DeepLabCut as HDF5, written long ago."""
    values = np.random.default_rng(0).uniform(1, 40, (n_frames, 6)) / [1, 1, 40, 1, 1, 40]
    columns = pd.MultiIndex.from_product(
        [[NETWORK], ["snout", "jaw_tip"], ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    pd.DataFrame(values, columns=columns).to_hdf(path, key="df_with_missing", format="table")
    os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.fixture(scope="module")
def snouts(orofacial: Orofacial, small_lab: Any) -> str:
    """A model of poses beside the side video of mouse02, deployed beside the other one; its poses are computed."""
    file = small_lab.raw_folder / "mouse02" / "2026-03-02_1" / f"side{NETWORK}.h5"
    write_poses(file, 200)
    imported = orofacial("model", "import", file, "--camera", "side", "--name", "snouts", "--json")
    assert imported.returncode == 0, imported.stderr
    model_id = str(json.loads(imported.stdout)["model_id"])
    deployed = orofacial("model", "deploy", model_id, "--beside")
    assert deployed.returncode == 0, deployed.stderr
    computed = orofacial("populate", "--json")
    assert json.loads(computed.stdout)["computed"]["PoseEstimation"] == 1, computed.stdout + computed.stderr
    return model_id


@pytest.mark.slow
def test_two_deployed_models_of_a_camera_are_named_and_no_mouse_counts_twice_unknowingly(
    orofacial: Orofacial, small_lab: Any, snouts: str, tmp_path: Path
) -> None:
    from pipeline import query

    side = small_lab.model_ids["side"]
    said = f"1 video of camera side, once by each of small side ({side}), snouts ({snouts})"
    for ask in (query.tracks, query.qualities, lambda **question: query.sql("select 1", **question)):
        with pytest.warns(SeveralModelsWarning, match=re.escape(said)):
            ask(filter="median")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(filter="median", model=["small side", "snouts"])  # who names them knows
            ask(filter="median", mouse="mouse01")
    for command in (["tracks", "--json"], ["compare", "--choose"], ["report", "-o", tmp_path / "report.html"]):
        assert said in " ".join(orofacial(*command).stderr.split())
    assert said in (tmp_path / "report.html").read_text(encoding="utf-8")
    status = orofacial("status")
    assert f"model of camera side: small side ({side})" in status.stdout
    assert f"model of camera side: snouts ({snouts})" in status.stdout
    assert {row["model_id"] for row in json.loads(orofacial("status", "--json").stdout)["deployed"]} > {side, snouts}


def test_poses_of_deeplabcut_go_from_their_files_to_filtered_tracks(
    orofacial: Orofacial, small_lab: Any, snouts: str
) -> None:
    why = orofacial("why", "mouse02/2026-03-02_1", "--model", snouts, "--filter", "median", "--node", "snout")
    assert all(said in why.stdout for said in (f"side{NETWORK}.h5", "estimator deeplabcut", "snouts")), why.stderr
    refused = orofacial("model", "import", small_lab.raw_folder / "mouse02", "--camera", "side")
    assert refused.returncode == 1
    assert "is no model of an estimator that is known here; expected one of" in refused.stderr


def test_what_is_not_known_to_be_held_out_is_said_and_corrected_mice_count_in_queries(
    orofacial: Orofacial, snouts: str
) -> None:
    from pipeline import query

    asks: list[Callable[..., Any]] = [
        query.tracks,
        query.qualities,
        lambda **question: query.sql("select 1", **question),
    ]
    for ask in asks:
        with pytest.raises(query.QueryError, match=rf"of 1 track .* model snouts \({snouts}\), it is not known"):
            ask(model=snouts, held_out=True)
    with pytest.raises(query.QueryError, match="known to be in training; of 1 track"):
        query.tracks(model=snouts, held_out=False)
    partly = rf"of 1 track .* model snouts \({snouts}\), it is not known.*held_out='not known'"
    for ask in asks:
        with pytest.warns(LeftOutWarning, match=partly):
            ask(model="all", held_out=True, filter="median")
    refused = orofacial("tracks", "--held-out", "--model", snouts, "--json")
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert f"orofacial model mice {snouts} --mouse NAME" in said and "--held-out-not-known" in said

    def held_out() -> Any:
        (row,) = query.tracks(model=snouts).rows
        return row["held_out"]

    for mouse, expected in (("mouse05", True), ("mouse02", False)):  # the first is told by mistake
        told = orofacial("model", "mice", snouts, "--mouse", mouse, "--json")
        assert told.returncode == 0, told.stderr
        assert set(json.loads(told.stdout)["mice_without_session"]) == {mouse} - {"mouse02"}
        assert held_out() is expected
        assert len(query.tracks(model=snouts, held_out=True)) == int(expected)
        assert len(query.tracks(model=snouts, held_out=False)) == int(not expected)
    why = orofacial("why", "mouse02/2026-03-02_1", "--model", snouts, "--filter", "raw").stdout.replace("\n", " ")
    assert "this mouse was in training" in why and "it was said to be trained on mouse05" in " ".join(why.split())
    wrong = orofacial("model", "mice", snouts)
    assert wrong.returncode == 2 and "--not-known" in wrong.stderr
    assert "trained on: not known" in orofacial("model", "mice", snouts, "--not-known").stdout
    assert held_out() is None


@pytest.mark.slow
def test_several_models_become_one_by_command(orofacial: Orofacial, small_lab: Any, snouts: str) -> None:
    file = small_lab.raw_folder / "mouse02" / "2026-03-02_1" / f"side{NETWORK}.h5"
    again = json.loads(orofacial("model", "import", file, "--camera", "side", "--name", "again", "--json").stdout)
    refused = orofacial("model", "ensemble", "both", "snouts")
    assert refused.returncode == 1 and "an ensemble of 1 model" in " ".join(refused.stderr.split())
    made = orofacial("model", "ensemble", "both", "snouts", again["model_id"], "--no-deploy")
    assert made.returncode == 0, made.stderr
    assert re.search(r"model [0-9a-f]{16} made for camera side: both", made.stdout)
    assert "orofacial model deploy" in made.stdout
    known = json.loads(orofacial("model", "ensemble", "both", again["model_id"], snouts, "--json").stdout)
    assert (known["is_new"], known["mice_known"], known["deployed"]) == (False, False, False)
    kept = orofacial("delete", "model", again["model_id"], "--yes")
    assert kept.returncode == 1 and "is a member of the ensemble" in " ".join(kept.stderr.split())
    for model_id in (known["model_id"], again["model_id"]):
        assert orofacial("delete", "model", model_id, "--yes").returncode == 0
