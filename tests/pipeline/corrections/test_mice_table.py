"""All mice as CSV, out and in again: nothing changes by itself, and a file with faults changes nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.corrections.keys import CorrectionError
from pipeline.corrections.mice_table import import_mice, mice_csv
from pipeline.corrections.values import listed_mice

pytestmark = pytest.mark.usefixtures("emptied")


@pytest.fixture
def mice(database: Any) -> None:
    from schemas.subject import Mouse

    Mouse.insert(
        [
            {"mouse_id": "mouse01", "sex": "female", "genotype": 'a "b", c', "date_of_birth": "2026-01-05"},
            {"mouse_id": "müller;2", "sex": "unknown", "genotype": "", "date_of_birth": None},
        ]
    )


def corrections() -> int:
    from schemas.session import Correction

    return len(Correction())


@pytest.mark.usefixtures("mice")
def test_out_and_in_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mice.csv"
    path.write_text(mice_csv(listed_mice()), encoding="utf-8")
    before = listed_mice()
    assert import_mice(path) == []
    assert (listed_mice(), corrections()) == (before, 0)


@pytest.mark.usefixtures("mice")
def test_what_the_file_says_is_taken_in_with_its_history(tmp_path: Path) -> None:
    from schemas.session import Correction
    from schemas.subject import Mouse

    path = tmp_path / "mice.csv"
    path.write_bytes('\ufeffsex;mouse_id;date_of_birth\n;mouse01;2026-01-06\nmale;"müller;2";\n'.encode())
    dry = import_mice(path, dry_run=True)
    assert dry == ["mouse01: date_of_birth was 2026-01-05, is 2026-01-06", "müller;2: sex was unknown, is male"]
    assert corrections() == 0
    assert import_mice(path, reason="colony database") == dry
    assert (Mouse & {"mouse_id": "mouse01"}).fetch1("sex", "genotype", "date_of_birth") == (
        "female",
        'a "b", c',
        date(2026, 1, 6),
    )
    rows = Correction.to_dicts(order_by="correction_line")
    assert {row["correction_number"] for row in rows} == {1}
    assert {row["correction_reason"] for row in rows} == {"colony database"}
    assert all("@" in row["corrected_by"] for row in rows)


@pytest.mark.usefixtures("mice")
def test_all_faults_are_said_at_once_and_nothing_is_changed(tmp_path: Path) -> None:
    from schemas.session import Session

    Session.insert1({"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 1, "session_folder": "x"})
    path = tmp_path / "mice.csv"
    path.write_text(
        "mouse_id,sex,date_of_birth,weight\n"
        "mouse01,F,2026-02-30,20\n"
        "mouse1,female,,\n"
        "mouse01,female,2026-01-05,20\n"
        "müller;2,female\n"
        "\n"
        '"müller;2",female,20260105,1\n',
        encoding="utf-8",
    )
    before = listed_mice()
    with pytest.raises(CorrectionError) as refused:
        import_mice(path)
    said = str(refused.value)
    for fault in (
        "line 1: unknown column 'weight'; known are mouse_id, sex",
        "line 2: sex is 'F'",
        "line 2: date_of_birth is '2026-02-30'",
        "line 3: the lab has no mouse 'mouse1'; nearest is mouse01",
        "line 4: mouse mouse01 stands in line 2 already",
        "line 5: 2 cells; expected 4",
        "line 7: date_of_birth is '20260105'; expected a day",
    ):
        assert fault in said
    assert "7 of its values" in said
    assert (listed_mice(), corrections()) == (before, 0)


@pytest.mark.usefixtures("mice")
def test_a_birth_after_a_session_is_a_fault(tmp_path: Path) -> None:
    from schemas.session import Session

    Session.insert1({"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 1, "session_folder": "x"})
    path = tmp_path / "mice.csv"
    path.write_text("mouse_id,date_of_birth\nmouse01,2026-03-03\n")
    with pytest.raises(CorrectionError, match="line 2: mouse mouse01 was born on 2026-03-03"):
        import_mice(path)


@pytest.mark.parametrize("text", ["", "mouse\nmouse01\n", "sex,sex\nmale,male\n"])
@pytest.mark.usefixtures("mice")
def test_a_file_that_names_no_mice_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mice.csv"
    path.write_text(text)
    with pytest.raises(CorrectionError, match="mouse_id"):
        import_mice(path)
