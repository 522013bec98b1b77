"""`orofacial mice` and `sessions` as a person uses them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]


def ran(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wrong_name_is_corrected_and_the_history_says_who_and_why(orofacial: Run, small_lab: Any) -> None:
    before = json.loads(ran(orofacial("distances", "--mouse", "mouse01", "--json")))
    dry = ran(orofacial("mice", "rename", "mouse01", "M001", "--dry-run"))
    assert dry == "would be corrected: mouse mouse01 is M001 now: 1 session, with every result\n"
    ran(orofacial("mice", "rename", "mouse01", "M001", "--why", "the rig's list was old"))
    after = json.loads(ran(orofacial("distances", "--mouse", "M001", "--json")))
    assert json.loads(json.dumps(after).replace("M001", "mouse01")) == before
    shown = ran(orofacial("sessions", "show", "M001/2026-03-02_1"))
    assert "mouse_id was mouse01, is M001, by " in shown and "(the rig's list was old)" in shown
    for words in (("mice", "show", "M001"), ("why", "M001/2026-03-02_1", "--camera", "side")):
        assert "mouse_id was mouse01, is M001, by " in ran(orofacial(*words)).replace("\n", " ")
    taken = orofacial("ingest", small_lab.raw_folder, "--stable-after", 0)
    assert "known: M001/2026-03-02_1 was ingested before (renamed from mouse01/2026-03-02_1)" in ran(taken)
    ran(orofacial("mice", "rename", "M001", "mouse01"))


def test_mice_go_out_and_in_again(orofacial: Run, tmp_path: Path) -> None:
    path = tmp_path / "mice.csv"
    path.write_text(ran(orofacial("mice", "list", "--csv")))
    assert "nothing to correct" in ran(orofacial("mice", "import", path))
    path.write_text(path.read_text().replace("mouse03,,", "mouse03,male,"))
    assert "would be corrected: mouse03: sex was unknown, is male" in ran(
        orofacial("mice", "import", path, "--dry-run")
    )
    ran(orofacial("mice", "import", path, "--why", "colony"))
    (mouse,) = [
        row for row in json.loads(ran(orofacial("mice", "list", "--json")))["mice"] if row["mouse_id"] == "mouse03"
    ]
    assert (mouse["sex"], mouse["n_sessions"]) == ("male", 1)
    path.write_text("mouse_id,sex\nmouse99,male\n")
    refused = orofacial("mice", "import", path)
    assert refused.returncode == 1 and "line 2: the lab has no mouse 'mouse99'" in refused.stderr
    ran(orofacial("mice", "set", "mouse03", "sex="))


def test_sessions_are_listed_set_and_moved(orofacial: Run) -> None:
    assert "mouse02/2026-03-02_1" in ran(orofacial("sessions", "list", "--mouse", "mouse02"))
    said = ran(orofacial("sessions", "set", "mouse03/2026-03-02_1", "rig=left", "px_per_mm.side=10"))
    assert "rig was unknown, is left" in said and "orofacial populate" in said
    moved = ran(orofacial("sessions", "move", "mouse03/2026-03-02_1", "mouse03/2026-03-04_2", "--json"))
    assert json.loads(moved)["corrected"] == [
        "session mouse03/2026-03-02_1 is mouse03/2026-03-04_2 now, with every result"
    ]
    (session,) = json.loads(ran(orofacial("sessions", "list", "--mouse", "mouse03", "--json")))["sessions"]
    assert (session["session"], session["rig"]) == ("mouse03/2026-03-04_2", "left")
    video = "mouse03/2026-03-04_2"
    refused = orofacial("sessions", "move", f"{video}/side", f"{video}/lower")
    assert refused.returncode == 1 and "--swap" in refused.stderr
    assert "is of camera lower now" in ran(orofacial("sessions", "move", f"{video}/side", f"{video}/lower", "--swap"))
    for words in (
        ("sessions", "move", f"{video}/side", f"{video}"),
        ("sessions", "move", f"{video}/side", "mouse02/2026-03-02_1/lower"),
        ("sessions", "set", video, "rig"),
        ("mice", "rename", "nobody", "somebody"),
    ):
        assert orofacial(*words).returncode == 1
