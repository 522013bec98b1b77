"""A lab's server with its roles: each can do its work, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import psycopg2
import pymysql
import pytest

from compute.errors import DatabaseError
from compute.video import write_video
from pipeline.database.server import ServerAddress

PRELUDE = """
import numpy as np
from pathlib import Path
from datajoint.errors import AccessError
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings
settings = load_settings()
connection = open_connection(settings)
import schemas
schemas.activate(settings.schema_prefix, connection)
from schemas.subject import Mouse
from schemas.session import Session, Video
from schemas.model import DeployedModel, Model
from schemas.pose import PoseEstimation
from schemas.track import FilteredTrack, TrackQuality
from schemas.metric import DistanceMetrics, NodePair

def refused(action):
    try:
        action()
    except AccessError:
        return
    except Exception as error:  # a driver's own error that DataJoint does not translate
        assert "denied" in str(error) or "must be owner" in str(error), error
        return
    raise AssertionError("it was not refused")
"""
# What stands for a model that was trained, and for its work on every video: real rows and files, without the training.
TRACKED = """
from compute.tracks import Tracks
from ingest.labels import insert_label_skeleton
bundle = Path("bundle")
bundle.mkdir()
(bundle / "weights").write_text("none")
skeleton = insert_label_skeleton(("left_snout_tip", "right_snout_tip"), ())
model = dict(model_id="0123456789abcdef", camera="side", skeleton_id=skeleton, estimator="sleap", model_name="none")
Model.insert1({**model, "bundle": bundle})
DeployedModel.insert1({"camera": "side", "model_id": model["model_id"]})
NodePair.insert1(dict(skeleton_id=skeleton, node_a="left_snout_tip", node_b="right_snout_tip", pair_kind="rigid"))
for key in Video.keys():
    position = np.random.default_rng(0).normal(30, 1, (20, 2, 2)).astype(np.float32)
    tracks = Tracks(position, np.ones((20, 2), np.float32), np.arange(20) / 100, ("left_snout_tip", "right_snout_tip"))
    PoseEstimation.insert1(
        {**key, "model_id": model["model_id"], "tracks": tracks, "device": "cpu", "estimation_duration_s": 1.0},
        allow_direct_insert=True,
    )
"""

COUNT_IN_MM = """
from schemas.metric import FilterComparison
print(sum(len(table & {"mouse_id": "mouse01"}) for table in (DistanceMetrics, FilterComparison)))
"""


@dataclass
class Lab:
    """A prepared server, and the folders of the people who use it."""

    server: Any
    folder: Path
    run_python: Callable[..., CompletedProcess[str]]
    said: list[str]

    def environment(self, role: str) -> dict[str, str]:
        password = (self.folder / ".secrets" / f"{role}.password").read_text().strip()
        return {
            **self.server.variables(f"lab_{role}", password),
            "OROFACIAL_DATA_FOLDER": str(self.folder / "data"),
            "OROFACIAL_SCHEMA_PREFIX": "lab_",
        }

    def run(self, role: str, program: str, *arguments: object, expect: int | None = 0) -> CompletedProcess[str]:
        """Run the command `orofacial` or a Python program with a role's name and password."""
        text = program if program == "orofacial" else PRELUDE + program
        done = self.run_python(text, self.folder, *arguments, expect=expect, **self.environment(role))
        self.said += [done.stdout, done.stderr]
        return done

    def init(self, *arguments: object, expect: int = 0, password: str | None = None) -> CompletedProcess[str]:
        """Prepare the server, as its administrator."""
        done = self.run_python(
            "orofacial",
            self.folder,
            *("db", "init", "--server", self.server.url, *arguments),
            expect=expect,
            DJ_PASS=password or self.server.password,
            OROFACIAL_SCHEMA_PREFIX="lab_",
            OROFACIAL_DATA_FOLDER=str(self.folder / "data"),
            DJ_CREATE_TABLES="false",
        )
        self.said += [done.stdout, done.stderr]
        return done

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute as the server's administrator."""
        where = {"host": "127.0.0.1", "port": self.server.port, "user": self.server.administrator}
        if self.server.backend == "postgresql":
            connection: Any = psycopg2.connect(**where, password=self.server.password, dbname="orofacial")
        else:
            connection = pymysql.connect(**where, password=self.server.password)
        connection.autocommit = True if self.server.backend == "postgresql" else connection.autocommit
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
        connection.close()
        return rows


@pytest.fixture(scope="module")
def lab(lab_server: Any, run_python: Any, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A prepared server with two sessions that the ingester took in, tracks, and what the worker made of them."""
    lab = Lab(lab_server, tmp_path_factory.mktemp("lab"), run_python, [])
    lab.init()
    for name, level in (("mouse01/2026-03-02_1", 40), ("mouse02/2026-03-02_1", 60)):
        folder = lab.folder / "raw" / name
        folder.mkdir(parents=True)
        frames = (np.full((48, 64), level + frame, np.uint8) for frame in range(20))
        write_video(folder / "side.mp4", frames, 100)
        (folder / "session.toml").write_text('[mouse]\nsex = "female"\n')
    return lab


@pytest.fixture(scope="module")
def worked(lab: Lab) -> Lab:
    """Each role did its work."""
    taken = lab.run("ingester", "orofacial", "ingest", lab.folder / "raw", "--stable-after", 0, "--json")
    assert json.loads(taken.stdout)["counts"] == {"ingested": 2}
    lab.run("admin", TRACKED)
    computed = json.loads(lab.run("worker", "orofacial", "populate", "--json").stdout)
    assert computed["failed"] == []
    assert computed["computed"] == {
        "TrackQuality": 2,
        "FilteredTrack": 16,
        "DistanceMetrics": 16,
        "FilterComparison": 16,
    }
    return lab


def test_a_reader_reads_all_and_changes_nothing(worked: Lab) -> None:
    stages = json.loads(worked.run("reader", "orofacial", "status", "--json").stdout)["sessions"]
    assert {stage["done"] for stage in stages["mouse01/2026-03-02_1"].values()} == {1, 8}
    tracks = json.loads(worked.run("reader", "orofacial", "tracks", "--filter", "median", "--json").stdout)["tracks"]
    assert {row["mouse_id"] for row in tracks} == {"mouse01", "mouse02"}
    worked.run(
        "reader",
        """
assert len(Mouse * Session * FilteredTrack * DistanceMetrics) == 16
refused(lambda: Mouse.insert1({"mouse_id": "mouse03"}))
refused(lambda: (Session & "mouse_id = 'mouse01'").delete_quick())
refused(lambda: Mouse.update1({"mouse_id": "mouse01", "genotype": "other"}))
refused(lambda: TrackQuality.jobs.refresh() if len(TrackQuality.jobs) else TrackQuality.jobs.ignore({
    **TrackQuality.keys()[0]}))
refused(lambda: DistanceMetrics.drop_quick())
refused(lambda: schemas.subject.schema.drop(prompt=False))
assert len(Mouse()) == 2
""",
    )


def test_an_ingester_adds_what_people_bring_and_reads_no_secret(worked: Lab) -> None:
    secret = "mysql.user" if worked.server.backend == "mysql" else "pg_authid"
    worked.run(
        "ingester",
        f"""
from ingest.deployment import deploy
from ingest.pairs import add_node_pair
add_node_pair("right_snout_tip", "left_snout_tip", kind="rigid", length_mm=2.5)
assert NodePair.fetch1("length_mm") == 2.5
deploy("0123456789abcdef")
from ingest.training_mice import correct_training_mice
from schemas.model import TrainingMiceCorrection
for mice in (["mouse01"], None):
    assert correct_training_mice("0123456789abcdef", mice).is_changed
refused(lambda: TrainingMiceCorrection.delete_quick())
refused(lambda: connection.query("SELECT * FROM {secret}").fetchall())
refused(lambda: TrackQuality.insert1(TrackQuality.keys()[0] | {{"mouse_id": "mouse09"}}, allow_direct_insert=True))
refused(lambda: (Video & "camera = 'side'").delete_quick())
refused(lambda: (Session & "session_number = 1").delete_quick())
refused(lambda: TrackQuality.drop_quick())
refused(lambda: DistanceMetrics.jobs.refresh() if (DistanceMetrics.key_source - DistanceMetrics) else
        DistanceMetrics.jobs.ignore(DistanceMetrics.keys()[0]))
""",
    )
    again = worked.run("ingester", "orofacial", "ingest", worked.folder / "raw", "--stable-after", 0, "--json")
    assert json.loads(again.stdout)["counts"] == {"known": 2}


@pytest.mark.slow
def test_an_ingester_corrects_a_scale_and_what_was_measured_with_it_is_computed_anew(worked: Lab) -> None:
    """A corrected scale changes every distance in mm, and what was stays written down."""
    path = worked.folder / "raw" / "mouse01" / "2026-03-02_1" / "session.toml"
    said = path.read_text()
    worked.run("worker", "orofacial", "populate")
    for scale, before in ((10.0, ""), (12.5, "10.0"), (None, "12.5")):
        in_mm = worked.run("reader", COUNT_IN_MM).stdout.strip()  # more than 16 if a pair was changed meanwhile
        path.write_text(said + ("" if scale is None else f"[px_per_mm]\nside = {scale}\n"))
        taken = worked.run("ingester", "orofacial", "ingest", path.parent, "--stable-after", 0, "--json")
        (outcome,) = json.loads(taken.stdout)["outcomes"]
        assert outcome["status"] == "corrected"
        assert (
            f"px_per_mm of camera side was {before or 'unknown'}, is {scale or 'unknown'}; {in_mm} rows in mm"
            in outcome["message"]
        )
        computed = json.loads(worked.run("worker", "orofacial", "populate", "--json").stdout)
        assert computed["computed"] == {"DistanceMetrics": 8, "FilterComparison": 8}
        worked.run(
            "ingester",
            f"""
from schemas.session import Correction
scale = {scale}
for row in (DistanceMetrics & "mouse_id = 'mouse01'").to_dicts():
    if scale is None:
        assert row["mean_mm"] is None and row["variance_mm2"] is None, row
    else:
        assert np.isclose(row["mean_mm"] * scale, row["mean_px"]), row
        assert np.isclose(row["variance_mm2"] * scale**2, row["variance_px2"]), row
assert len(DistanceMetrics()) == 16
last = Correction.to_dicts(order_by="correction_number, correction_line")[-1]
assert (last["corrected_column"], last["corrected_camera"]) == ("px_per_mm", "side")
assert (last["value_before"], last["value_after"]) == ({before!r}, {"" if scale is None else str(scale)!r})
refused(lambda: Correction.delete_quick())
refused(lambda: Correction.update1({{**Correction.keys()[0], "value_before": "1"}}))
""",
        )
    chains = json.loads(worked.run("reader", "orofacial", "why", "mouse01/2026-03-02_1", "--json").stdout)["chains"]
    corrections = [(one["value_before"], one["value_after"]) for one in chains[0]["corrections"]]
    assert corrections == [("", "10.0"), ("10.0", "12.5"), ("12.5", "")]
    assert "px_per_mm of camera side was 10.0, is 12.5" in worked.run(
        "reader", "orofacial", "why", "mouse01/2026-03-02_1"
    ).stdout.replace("\n", " ")


def test_a_worker_computes_and_cannot_drop_or_take_away(worked: Lab) -> None:
    secret = "mysql.user" if worked.server.backend == "mysql" else "pg_authid"
    worked.run(
        "worker",
        f"""
refused(lambda: FilteredTrack.drop_quick())
refused(lambda: schemas.track.schema.drop(prompt=False))
refused(lambda: (DistanceMetrics & Session).delete_quick())
refused(lambda: Session.insert1({{**Session.keys()[0], "session_number": 7, "session_folder": "nowhere"}}))
refused(lambda: connection.query("CREATE TABLE lab_subject.mine (a int)"))
refused(lambda: connection.query("SELECT * FROM {secret}").fetchall())
assert len(FilteredTrack()) == 16
""",
    )


def test_an_admin_owns_the_schemas_and_nothing_else(worked: Lab) -> None:
    secret = "mysql.user" if worked.server.backend == "mysql" else "pg_authid"
    worked.run(
        "admin",
        f"""
from schemas.metric import DistanceMetrics
(DistanceMetrics & "mouse_id = 'mouse02'").delete(prompt=False)
assert len(DistanceMetrics()) == 8
DistanceMetrics.drop(prompt=False)
refused(lambda: connection.query("SELECT * FROM {secret}").fetchall())
refused(lambda: connection.query("CREATE ROLE another"))
""",
    )
    missing = worked.run("reader", "orofacial", "status", expect=1).stderr
    assert "DistanceMetrics" in missing.replace("\n", "") and "orofacial db init" in missing
    prepared = json.loads(worked.init("--json").stdout)["prepared"]  # an upgrade that adds a table
    keeps_grants = worked.server.backend == "mysql"  # of a table that was dropped
    assert {role["n_granted"] > 0 for role in prepared["roles"] if role["role"] != "admin"} == {not keeps_grants}
    computed = json.loads(worked.run("worker", "orofacial", "populate", "--json").stdout)
    assert computed["computed"] == {"DistanceMetrics": 16, "FilterComparison": 16}


def test_preparing_again_changes_nothing_and_takes_back_what_is_too_much(worked: Lab) -> None:
    assert [role["n_granted"] for role in json.loads(worked.init("--json").stdout)["prepared"]["roles"]] == [0] * 4
    grantee = "lab_reader" if worked.server.backend == "postgresql" else "'lab_reader'@'%'"
    worked.sql(f"GRANT DELETE ON lab_subject.mouse TO {grantee}")
    roles = {role["role"]: role for role in json.loads(worked.init("--json").stdout)["prepared"]["roles"]}
    assert {name: role["n_revoked"] for name, role in roles.items()} == {
        "reader": 1,
        "ingester": 0,
        "worker": 0,
        "admin": 0,
    }
    worked.run("reader", "refused(lambda: (Mouse & {'mouse_id': 'mouse01'}).delete_quick())")


def test_passwords_are_in_files_of_their_owner_and_nowhere_else(worked: Lab) -> None:
    files = sorted((worked.folder / ".secrets").glob("*.password"))
    assert [file.stem for file in files] == ["admin", "ingester", "reader", "worker"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    wrong = worked.init(expect=1, password="wrong-passw0rd")
    places = {"printed": "\n".join([*worked.said, wrong.stderr]), "log": worked.server.log.read_text(errors="replace")}
    assert "lab_reader" in places["log"], "the log does not have what it was made for"
    for place, text in places.items():
        for password in [*(file.read_text().strip() for file in files), worked.server.password, "wrong-passw0rd"]:
            assert password not in text, place


def test_a_role_keeps_the_password_that_the_environment_names(lab: Lab) -> None:
    lab.run_python(
        "orofacial",
        lab.folder,
        *("db", "init", "--server", lab.server.url),
        DJ_PASS=lab.server.password,
        OROFACIAL_SCHEMA_PREFIX="other_",
        OROFACIAL_DATA_FOLDER=str(lab.folder / "data"),
        OROFACIAL_READER_PASSWORD="chosen by the l4b",
    )
    variables = lab.server.variables("other_reader", "chosen by the l4b")
    settings = {"OROFACIAL_SCHEMA_PREFIX": "other_", "OROFACIAL_DATA_FOLDER": str(lab.folder / "data")}
    assert "no session yet" in lab.run_python("orofacial", lab.folder, "status", **variables, **settings).stdout


def test_a_server_without_tls_is_refused_where_tls_is_required(worked: Lab) -> None:
    lab = worked
    done = lab.run_python(
        "orofacial", lab.folder, "status", expect=1, **{**lab.environment("reader"), "DJ_USE_TLS": "true"}
    )
    assert "TLS" in done.stderr or "SSL" in done.stderr
    assert "No connection to the" in done.stderr


@pytest.mark.slow
def test_tls_is_used_and_the_certificate_checked(tls_server: tuple[Any, Path, Path], run_python: Any) -> None:
    server, authority, other_authority = tls_server
    lab = Lab(server, authority.parent, run_python, [])
    required = {"DJ_USE_TLS": "true", "OROFACIAL_SCHEMA_PREFIX": "lab_", "DJ_PASS": server.password}
    data = {"OROFACIAL_DATA_FOLDER": str(lab.folder / "data")}
    run_python("orofacial", lab.folder, "db", "init", "--server", server.url, **required, **data)
    cipher = (
        "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        if server.backend == "postgresql"
        else "SHOW STATUS LIKE 'Ssl_cipher'"
    )
    asks = f"print(connection.query({cipher!r}).fetchone()[-1])"
    for variables, encrypted in [
        ({"DJ_USE_TLS": "true"}, True),
        ({}, True),  # preferred
        ({"OROFACIAL_DATABASE_CA": str(authority)}, True),
        ({"OROFACIAL_DATABASE_CA": str(other_authority)}, None),
    ]:
        done = run_python(PRELUDE + asks, lab.folder, expect=None, **lab.environment("reader"), **variables)
        if encrypted is None:
            assert done.returncode == 1 and "No connection to the" in done.stderr, variables
        else:
            assert done.returncode == 0 and len(done.stdout.strip()) > 5, (variables, done.stderr)


@pytest.mark.parametrize("url", ["", "nowhere", "postgresql://host/name", "sqlite://me@here", "mysql://me@host:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(DatabaseError, match=r"expected postgresql://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT"):
        ServerAddress.parse(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(DatabaseError, match=r"\.secrets/database\.password") as error:
        ServerAddress.parse("postgresql://lab:opensesame@db.lab/orofacial")
    assert "opensesame" not in str(error.value)
