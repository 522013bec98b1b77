"""Every column of metadata goes from session.toml to its table, and from there to whatever shows it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.session_files import read_session_file, session_file_places
from schemas.metadata import MetadataColumn, complete_metadata
from schemas.session import METADATA, Session, Video
from schemas.subject import Mouse

COLUMNS = pytest.mark.parametrize("column", METADATA, ids=lambda column: str(column.name))


def example(column: MetadataColumn) -> Any:
    """A value that the column can have, and that no other test uses."""
    if column.values:
        return column.values[1]
    values: dict[type, Any] = {
        str: f"some {column.name}"[: column.max_length],
        int: 7,
        float: 20.5,
        date: date(2026, 1, 5),
        datetime: datetime(2026, 3, 2, 11, 45),
    }
    return values[column.python_type]


def toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else value.isoformat() if isinstance(value, date) else str(value)


def session_toml() -> str:
    """A session.toml that says everything that it can say."""
    lines = [f"{column.toml_key} = {toml(example(column))}" for column in Session.metadata]
    lines += ["[mouse]", *(f"{column.toml_key} = {toml(example(column))}" for column in Mouse.metadata)]
    for column in Video.metadata:
        lines += [f"[{column.toml_key}]", f"side = {toml(example(column))}"]
    return "\n".join(lines)


def test_what_session_toml_says_is_read_into_its_columns(tmp_path: Path) -> None:
    (tmp_path / "session.toml").write_text(session_toml())
    said = read_session_file(tmp_path / "session.toml")
    assert said.session == {column.name: example(column) for column in Session.metadata}
    assert said.mouse == {column.name: example(column) for column in Mouse.metadata}
    assert said.videos == {"side": {column.name: example(column) for column in Video.metadata}}


@pytest.mark.parametrize("place", session_file_places())
def test_a_value_of_the_wrong_kind_is_refused_with_the_places_there_are(place: str, tmp_path: Path) -> None:
    from compute.errors import SessionError

    first, _, rest = place.replace("<camera>", "side").partition(".")
    if not rest:
        text = f"{first} = [1, 2]"
    elif first == "mouse":
        text = f"[mouse]\n{rest} = [1, 2]"
    else:
        text = f"[{first}]\n{rest} = [1, 2]"
    (tmp_path / "session.toml").write_text(text)
    with pytest.raises(SessionError) as refused:
        read_session_file(tmp_path / "session.toml")
    assert first in str(refused.value)
    assert all(one in str(refused.value) for one in session_file_places())


@pytest.mark.parametrize(
    "column", [column for column in METADATA if column.above is not None], ids=lambda one: one.name
)
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_number_must_be_above_its_limit(column: MetadataColumn, value: str, tmp_path: Path) -> None:
    from compute.errors import SessionError

    section = (
        "" if column in Session.metadata else "[mouse]\n" if column in Mouse.metadata else f"[{column.toml_key}]\n"
    )
    key = "side" if column in Video.metadata else column.toml_key
    (tmp_path / "session.toml").write_text(f"{section}{key} = {value}")
    with pytest.raises(SessionError, match=column.toml_key):
        read_session_file(tmp_path / "session.toml")


@pytest.fixture(scope="module")
def told(small_lab: Any) -> Iterator[dict[str, Any]]:
    """The raw track of a session of which everything is known, taken in from a session.toml; its row of a question."""
    from pipeline import query

    (row,) = query.tracks(mouse="mouse03", camera="side").rows
    for table in (Mouse, Session, Video):
        key = {name: row[name] for name in table.primary_key}
        table.update1({**key, **{column.name: example(column) for column in table.metadata}})
    yield row
    for table in (Mouse, Session, Video):
        table.update1({**{name: row[name] for name in table.primary_key}, **complete_metadata(table.metadata, {})})


def test_a_whole_session_toml_is_ingested(
    database: Any, make_session: Callable[..., Path], tmp_path: Path, told: Any
) -> None:
    from ingest.sessions import ingest_sessions

    folder = make_session("mouse77/2026-03-02_1", cameras=("side",))
    (folder / "session.toml").write_text(session_toml())
    assert [outcome.status for outcome in ingest_sessions(tmp_path / "raw", stable_after_s=0)] == ["ingested"]
    for table in (Mouse, Session, Video):
        row = (table & {"mouse_id": "mouse77"}).fetch1()
        assert {column.name: row[column.name] for column in table.metadata} == {
            column.name: example(column) for column in table.metadata
        }


@COLUMNS
def test_a_question_answers_with_it_and_asks_for_it(told: dict[str, Any], column: MetadataColumn) -> None:
    from pipeline import query

    asked = {"mouse": "mouse03", "camera": "side"}
    for table in (query.manifest(**asked), query.distances(**asked), query.qualities(**asked)):
        assert set(table[column.name].to_pylist()) == {example(column)}
    sql = query.sql(f"select distinct {column.name} from tracks", **asked)
    assert sql.fetchall() == [(example(column),)]
    if column.is_text:
        assert len(query.tracks(camera="side", **{column.name: example(column)})) >= 1
        with pytest.raises(query.QueryError, match="known are"):
            query.tracks(**{column.name: "nothing of the kind"})


@COLUMNS
def test_why_and_the_files_say_it(told: dict[str, Any], column: MetadataColumn, tmp_path: Path) -> None:
    from compute.formats import FORMATS, read, write
    from pipeline.cli.why_commands import describe_why
    from pipeline.query.export import export_track
    from pipeline.why import why_chain

    value = example(column)
    plain = value.isoformat() if isinstance(value, date) else value
    found = why_chain(told)
    part = "mouse" if column in Mouse.metadata else "recording" if column in Session.metadata else "video"
    assert found[part][column.name] == plain
    assert any(f"{column.name} {plain}" in line for line in describe_why(found))
    track = export_track(told)
    path = tmp_path / f"a{FORMATS['nwb'].ending}"
    write("nwb", path, track)
    assert read(path).provenance[part][column.name] == plain


def test_nwb_says_it_where_other_programs_look(told: dict[str, Any], tmp_path: Path) -> None:
    import pynwb

    from compute.formats import write
    from pipeline.query.export import export_track

    write("nwb", tmp_path / "a.nwb", export_track(told))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "r") as io:
            file = io.read()
            said = [file.notes, *(file.experimenter or ()), file.session_start_time.strftime("%Y-%m-%dT%H:%M:%S")]
            said += [getattr(file, name) or "" for name in ("institution", "lab", "protocol", "surgery", "virus")]
            subject = file.subject
            said += [{"M": "male", "F": "female"}.get(subject.sex, ""), subject.genotype or "", subject.strain or ""]
            said += [f"{subject.date_of_birth:%Y-%m-%d}"]
            said += [str(file.session_start_time.utcoffset() // timedelta(minutes=1))]
    for column in (*Mouse.metadata, *Session.metadata):
        value = example(column)
        assert any((value.isoformat() if isinstance(value, date) else str(value)) in one for one in said), column.name


def test_the_data_dictionary_of_parquet_explains_it(told: dict[str, Any], tmp_path: Path) -> None:
    from pipeline.query.export import export_rows

    export_rows("parquet", [told], tmp_path)
    dictionary = json.loads((tmp_path / "data_dictionary.json").read_text())
    assert {one["name"]: one["description"] for one in dictionary["metadata"]} == {
        column.name: column.text for column in METADATA
    }
    readme = (tmp_path / "README.md").read_text()
    assert all(f"| `{column.name}` |" in readme for column in METADATA)
