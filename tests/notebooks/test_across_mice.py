"""The notebook runs from its first cell to its last, and its numbers are those of the tracks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


def test_the_notebook_gives_the_figure_and_the_right_numbers(
    small_lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compute.measures.distances import distance_px
    from pipeline import query

    monkeypatch.setenv("OROFACIAL_DATA_FOLDER", str(small_lab.settings.data_folder))
    monkeypatch.setenv("OROFACIAL_SCHEMA_PREFIX", small_lab.settings.schema_prefix)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / "across_mice.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("print(summary.to_json(orient='records'))"))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert not [output for output in outputs if output.get("name") == "stderr"]
    summary = {one["mouse"]: one for one in json.loads(outputs[-1]["text"])}
    assert set(summary) == {"mouse01", "mouse02", "mouse03"}
    assert summary["mouse03"]["group"] == "held out"
    for row, tracks in query.tracks(camera="lower", filter="kalman"):
        opening = distance_px(tracks, "jaw_tip", "center_snout_tip")
        assert summary[row["mouse_id"]]["median_px"] == pytest.approx(np.nanmedian(opening))
        assert summary[row["mouse_id"]]["missing"] == pytest.approx(np.isnan(opening).mean())
