"""The notebooks run from the first cell to the last on a database that is filled, and draw their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_studys_figures(simulated_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.work.populate import populate

    assert not populate().failed
    settings = simulated_database.settings
    for name, value in (
        ("PYTHONPATH", ROOT),
        ("OROFACIAL_DATA_FOLDER", settings.data_folder),
        ("OROFACIAL_SCHEMA_PREFIX", settings.schema_prefix),
    ):
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(ROOT / "notebooks" / "study_figures.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # kept without outputs, so that they are never stale
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    text = "".join(output["text"] for output in outputs if output.output_type == "stream" and output.name == "stdout")
    wrong = simulated_database.simulated["mouse03"].wrong[:, 5].sum()
    found = int(text.split("jaw_tip: ")[1].split()[0])
    assert found == pytest.approx(wrong, rel=0.15)
    for said in ("mouse01 (in training)", "mouse03 (held out)"):
        assert said in text
