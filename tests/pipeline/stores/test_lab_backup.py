"""A lab that was backed up, restored or moved has every row and file that it had, and answers as before."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.stores.collection import collect, removal_lock_name
from pipeline.stores.lab_backup import back_up_lab, read_snapshot, snapshot_names

ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]

ANSWERS = f"""
import importlib.util, json

spec = importlib.util.spec_from_file_location("answers", {str(ROOT / "tests/schemas/migrations/answers.py")!r})
answers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(answers)
import schemas
from pipeline import query
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings

settings = load_settings()
schemas.activate(settings.schema_prefix, open_connection(settings))
said = {{}}
for name, table in answers._tables():
    rows = (answers._plain(row) for row in table.to_dicts())
    said[name] = sorted(rows, key=answers._sort_key(table.primary_key))
for ask in (query.manifest, query.distances, query.qualities):
    for question in ({{}}, {{"filter": "kalman"}}, {{"held_out": True}}):
        said[f"{{ask.__name__}} {{question}}"] = answers._plain(answers._rows_or_reason(ask, question))
print(json.dumps(said, sort_keys=True))
"""
"""Prints all rows, with hashes of their files' content, and the answers to some questions."""


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings
from pipeline.stores.lab_backup import back_up_lab

settings = load_settings()
open_connection(settings, read_only=True)  # the server is started before, and has room
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    back_up_lab(settings, Path(sys.argv[1]))
except Exception as error:
    print(error)
"""


@pytest.fixture(scope="module")
def run(small_lab: Any, run_command: Run) -> Run:
    """Run orofacial or a program on a data folder; what it printed."""

    def run(folder: Path, *words: object, expect: int = 0, **variables: str) -> str:
        own = {"OROFACIAL_DATA_FOLDER": str(folder), "OROFACIAL_SCHEMA_PREFIX": small_lab.settings.schema_prefix}
        done = run_command(*words, **{**own, "folder": folder.parent, **variables})
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if expect == 0 else done.stdout + done.stderr

    return run  # type: ignore[return-value]


def answers_of(run: Any, folder: Path, **variables: str) -> dict[str, Any]:
    """All rows and some answers of a lab."""
    (line,) = [line for line in run(folder, program=ANSWERS, **variables).splitlines() if line.startswith("{")]
    said: dict[str, Any] = json.loads(line)
    return said


@pytest.fixture(scope="module")
def backup(small_lab: Any, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the small lab."""
    folder = tmp_path_factory.mktemp("backup") / "backup"
    run(small_lab.settings.data_folder, "backup", folder)
    return folder


@pytest.fixture(scope="module")
def template(backup: Path, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small lab, restored into a data folder of its own; nobody uses it."""
    folder = tmp_path_factory.mktemp("restored") / "lab"
    run(folder, "restore", backup)
    return folder


@pytest.fixture
def lab(template: Path, tmp_path: Path) -> Path:
    """A copy of that data folder, the test's own."""
    subprocess.run(["cp", "-a", template, tmp_path / "lab"], check=True)
    return tmp_path / "lab"


def test_a_restored_lab_answers_as_before(small_lab: Any, run: Any, template: Path) -> None:
    before = answers_of(run, small_lab.settings.data_folder)
    assert answers_of(run, template) == before
    assert len(before["track.FilteredTrack"]) > 20 and before["distances {'filter': 'kalman'}"]


def test_a_copied_and_renamed_data_folder_works(run: Any, lab: Path, tmp_path: Path) -> None:
    """With the rights and the owner that ``cp -r`` gives."""
    before = answers_of(run, lab)
    copy = tmp_path / "elsewhere" / "the lab, renamed"
    copy.parent.mkdir()
    subprocess.run(["cp", "-r", "--no-preserve=mode,ownership", lab, copy], check=True)
    shutil.rmtree(lab)
    (copy / "database" / "cluster").chmod(0o755)
    assert answers_of(run, copy) == before


def test_a_second_backup_copies_only_what_is_new(run: Any, backup: Path, lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    first = json.loads(run(lab, "backup", folder, "--json"))
    assert first["n_new_files"] == first["n_files"] > 20
    run(lab, "delete", "session", "mouse03/2026-03-02_1", "--yes")
    second = json.loads(run(lab, "backup", folder, "--json"))
    assert second["n_new_files"] == 0 and 0 < second["n_files"] < first["n_files"]
    assert snapshot_names(folder) == [Path(one["snapshot"]).name for one in (first, second)]
    restored = tmp_path / "again" / "lab"
    restored.parent.mkdir()
    run(restored, "restore", folder, "--snapshot", snapshot_names(folder)[0])
    assert len(answers_of(run, restored)["session.Session"]) == 3


def test_rows_of_one_moment(small_lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others insert and delete while the rows are read is not in the backup, and no file of it is removed."""
    import psycopg2

    import pipeline.stores.lab_backup as module
    from pipeline.lab import connect_lab
    from schemas.making.locks import is_lock_held

    prefix = small_lab.settings.schema_prefix
    seen = []
    save_rows = module.save_rows

    def insert_meanwhile(connection: Any, *rest: Any) -> Any:
        with psycopg2.connect(host=connection.conn_info["host"], user="postgres", dbname="postgres") as other:
            other.cursor().execute(f"""INSERT INTO "{prefix}subject".mouse (mouse_id) VALUES ('late')""")
        other.close()
        seen.append(is_lock_held(connection, removal_lock_name(prefix)))
        return save_rows(connection, *rest)

    monkeypatch.setattr(module, "save_rows", insert_meanwhile)
    try:
        snapshot = back_up_lab(small_lab.settings, tmp_path / "backup").snapshot
    finally:
        mice = connect_lab(settings=small_lab.settings).tables.Mouse & {"mouse_id": "late"}
        assert mice
        mice.delete_quick()
    assert seen == [True]
    (mice,) = [table for table in snapshot.rows.tables if table.label == "subject.mouse"]
    assert mice.n_rows == 3


def test_nothing_is_collected_while_a_backup_is_made(small_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg2

    from compute.errors import AnswerWarning
    from pipeline.lab import connect_lab
    from pipeline.stores import collection
    from schemas.making.locks import lock_number

    connection = connect_lab(settings=small_lab.settings).connection
    garbage = small_lab.settings.tracks_store / "_schema" / f"{small_lab.settings.schema_prefix}track" / "left.parquet"
    garbage.write_bytes(b"left")
    (file,) = [file for file in collect(dry_run=True, grace_s=1).young if "left" in file.path]
    monkeypatch.setattr(collection, "_PATIENCE_S", 0.2)
    backup = psycopg2.connect(host=connection.conn_info["host"], user="postgres", dbname="postgres")
    with backup.cursor() as cursor:
        number = lock_number(removal_lock_name(small_lab.settings.schema_prefix))
        cursor.execute(f"SELECT pg_advisory_lock({number})")
    with pytest.warns(AnswerWarning, match="1 file stay in the stores, since a backup"):
        assert collection.remove_collected([file]) == []
    assert garbage.exists()
    backup.close()
    assert collection.remove_collected([file]) == [file]


@pytest.mark.parametrize("what", ["file gone", "file changed", "rows changed", "manifest cut"])
def test_a_backup_that_is_not_whole_is_refused(run: Any, backup: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "backup"
    shutil.copytree(backup, folder)
    snapshot = read_snapshot(folder)
    file = max(snapshot.files, key=lambda one: one.size_bytes)
    damaged = snapshot.copy_of(file)
    if what == "file gone":
        damaged.unlink()
        expected = f"expected {file.size_bytes} bytes, found no such file"
    elif what == "file changed":
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        expected = f"expected {file.sha256}, found "
    elif what == "rows changed":
        damaged = snapshot.folder / "tables" / "subject.mouse.jsonl.gz"
        lines = gzip.decompress(damaged.read_bytes()).replace(b"mouse01", b"mouse09")
        damaged.write_bytes(gzip.compress(lines))
        expected = "expected 3 rows with hash "
    else:
        damaged = snapshot.folder / "manifest.json"
        damaged.write_bytes(damaged.read_bytes()[:1000])
        expected = "this is no manifest of a backup"
    for words in ((), ("--dry-run",)):
        said = run(tmp_path / "lab", "restore", folder, *words, expect=1)
        assert str(damaged) in said.replace("\n", " ") and expected in said
    files = [path for path in (tmp_path / "lab").rglob("*") if path.is_file() and "store" in path.parts]
    assert [path for path in files if path.suffix == ".parquet"] == []


def test_only_an_empty_lab_is_restored_into(run: Any, backup: Path, lab: Path) -> None:
    run(lab, "restore", backup)  # the same rows: nothing to do
    (store_file,) = list((lab / "store" / "tracks").rglob("*.parquet"))[:1]
    store_file.unlink()
    run(lab, "restore", backup)
    assert store_file.exists()
    run(lab, "delete", "session", "mouse03/2026-03-02_1", "--yes")
    said = run(lab, "restore", backup, expect=1)
    assert "is not empty" in said and "name another data folder" in said


def test_a_new_lab_is_empty_and_one_with_a_camera_is_not(run: Any, backup: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    run(lab, "init")
    run(lab, "camera", "add", "top")
    assert "is not empty: session.#camera" in run(lab, "restore", backup, expect=1)
    run(lab, program="from pipeline.lab import connect_lab; connect_lab().tables.Camera.delete_quick()")
    run(lab, "restore", backup)
    run(lab, "status")


def test_no_lab_is_not_backed_up(run: Any, tmp_path: Path) -> None:
    assert "there is no database here" in run(tmp_path / "nothing", "backup", tmp_path / "backup", expect=1)
    assert "no backup here" in run(tmp_path / "nothing", "restore", tmp_path, expect=1)


def test_a_full_disk_leaves_the_earlier_backup(run: Any, lab: Path, backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    shutil.copytree(backup, folder)
    largest = max(read_snapshot(folder).files, key=lambda one: one.size_bytes)
    read_snapshot(folder).copy_of(largest).unlink()  # so that it is copied anew
    names = snapshot_names(folder)
    said = run(lab, folder, largest.size_bytes - 1, program=FULL_DISK)
    assert "the backup could not be made" in said and "File too large" in said and "run it again to go on" in said
    assert snapshot_names(folder) == names
    assert not list(folder.rglob("*.part"))
    run(lab, "backup", folder)
    run(lab, "restore", folder, "--dry-run")


def test_a_lab_moves_to_a_server_and_back(run: Any, lab: Path, lab_server: Any) -> None:
    before = answers_of(run, lab)
    said = run(lab, "move-to", lab_server.url, DJ_PASS=lab_server.password)
    assert "each as it was" in said and "datajoint.json for every machine" in said
    server = lab_server.variables(lab_server.administrator, lab_server.password)
    on_server = answers_of(run, lab, **server)
    assert without_fractions(on_server, lab_server) == without_fractions(before, lab_server)
    refused = run(lab, "status", expect=1)
    assert "was moved to another database" in refused and "orofacial move-to --undo" in refused
    assert "was moved" in run(lab, "backup", lab.parent / "never", expect=1)

    run(lab, "move-to", "embedded", **server)
    assert without_fractions(answers_of(run, lab), lab_server) == without_fractions(before, lab_server)
    assert len(list(lab.glob("database.moved_*"))) == 1
    assert "was moved" in run(lab, "status", expect=1, **server)
    run(lab, "move-to", "--undo", **server)
    run(lab, "status", **server)


def without_fractions(answers: dict[str, Any], server: Any) -> Any:
    """MySQL's times are of whole seconds."""
    text = json.dumps(answers, sort_keys=True)
    return json.loads(re.sub(r"(\d\d:\d\d:\d\d)\.\d+", r"\1", text) if server.backend == "mysql" else text)


def test_a_move_that_fails_changes_nothing(run: Any, lab: Path) -> None:
    said = run(lab, "move-to", "postgresql://nobody@127.0.0.1:9/orofacial", expect=1, DJ_PASS="wrong")
    assert "127.0.0.1:9" in said
    run(lab, "status")
    assert "nothing to undo" in run(lab, "move-to", "--undo")
    assert "already" in run(lab, "move-to", "embedded", expect=1)
    run(lab, "move-to", expect=2)


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_left_between() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "backup_kills.py"), "--json", "--kills", "6", "--jobs", "16"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    counts = json.loads(done.stdout.splitlines()[-1])
    assert (counts["between"], counts["not_again"]) == (0, 0), done.stderr
    assert counts["kills"] >= 3
