"""The demo's last table and its folder: what the terminal says is what summary.json holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.demo.results import _describe, _error_cells
from pipeline.demo.run import DemoError, prepare_demo_folder


def test_errors_are_measured_where_there_is_a_position() -> None:
    error_px = np.r_[np.arange(101.0), np.full(101, np.nan)]
    described = _describe(error_px)
    assert described == {"p50": 50, "p90": 90, "rmse": pytest.approx(np.sqrt(3350)), "fraction_found": 0.5}
    assert _describe(np.full(3, np.nan)) == {"p50": None, "p90": None, "rmse": None, "fraction_found": 0.0}


def test_a_lost_node_is_named_and_counts_as_far_away() -> None:
    good = {"p50": 1.0, "p90": 2.0, "rmse": 1.5, "fraction_found": 1.0}
    lost = {"p50": None, "p90": None, "rmse": None, "fraction_found": 0.0}
    assert _error_cells({"jaw_tip": good, "left": good, "right": good}) == ["1.00", "2.00", "100.0%"]
    assert _error_cells({"jaw_tip": good, "left": good, "right": lost}) == ["1.00", "2.00", "0.0% right"]
    assert _error_cells({"jaw_tip": good, "left": lost, "right": lost}) == ["inf", "inf", "0.0% left"]
    assert _error_cells({}) == ["-", "-", "-"]


def test_only_a_folder_of_the_demo_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    with pytest.raises(DemoError, match="holds files that no demo wrote"):
        prepare_demo_folder(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "ten years"
    prepare_demo_folder(tmp_path / "demo")
    (tmp_path / "demo" / "report.html").touch()
    prepare_demo_folder(tmp_path / "demo")
    assert not (tmp_path / "demo" / "report.html").exists()
