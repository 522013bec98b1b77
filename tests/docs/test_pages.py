"""Every command of the documentation runs: the shell and Python blocks of each page, in order, on a small lab.

A comment before a block says how it is tested, where it is not simply run:

    <!-- not run: REASON -->    its commands, options, make targets and scripts exist; nothing is run
    <!-- until stopped -->      each command runs until it has said something, and ends with code 0 when it is stopped
    <!-- exit code: 1 -->       the block ends with this code

The pages say what they work on: ``raw``, ``labels`` and so on are in the folder in which their blocks run. A name that
cannot exist here, such as that of a lab's server, stands for one that the fixtures of this folder make. All but the
README are run with the slow tests: each of their hundred commands starts a Python.
"""

from __future__ import annotations

import itertools
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))

NOT_RUN = {
    "README.md": 1,
    "docs/backup.md": 1,
    "docs/beyond_one_machine.md": 1,
    "docs/filters.md": 1,
    "docs/own_data.md": 4,
    "docs/query.md": 1,
    "docs/workers.md": 2,
}
"""Number of blocks of each page that are not run; none of the other pages."""

_FENCE = re.compile(
    r"(?:^<!-- (?P<how>[^>]+) -->\n)?^(?P<fence>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$", re.M | re.S
)
_INDENTED = re.compile(r"(?:^|\n)\n    \S")


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes
    ----------
    page : str
    line : int
        Of its first line in the page.
    language : str
        ``sh`` or ``python``.
    text : str
    how : str
        The comment before it.
    """

    page: str
    line: int
    language: str
    text: str
    how: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty for one that is."""
        return self.how.removeprefix("not run: ") if self.how.startswith("not run: ") else ""


def blocks_of(page: str) -> list[Block]:
    """The blocks of commands of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("text")) + 1, found["language"], found["text"], found["how"] or "")
        for found in _FENCE.finditer(text)
        if found["language"] in {"sh", "python"}
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    languages = {found["language"] for found in _FENCE.finditer(text)}
    assert languages <= {"sh", "python", "text", "toml", "json"}, "a block of commands is ```sh or ```python"
    assert not _INDENTED.search(_FENCE.sub("", text)), "an indented block is not run; write ```sh or ```text"


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_left_out_silently(page: str) -> None:
    assert sum(bool(block.reason) for block in blocks_of(page)) == NOT_RUN.get(page, 0)


NEEDS_NOTHING = [block for page in PAGES for block in blocks_of(page) if block.reason]


@pytest.mark.parametrize("block", NEEDS_NOTHING, ids=lambda block: f"{block.page}:{block.line}")
def test_what_is_not_run_exists(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "orofacial" in words[:1]:
            monkeypatch.setattr(sys, "argv", words)  # tells the program that it is not only listing its commands
            parse_command(words[1:])
        elif words[:1] == ["make"]:
            targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
            assert set(words[1:]) <= set(targets), line
        elif words[:1] == ["python"]:
            options = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
            known = subprocess.run(
                [sys.executable, ROOT / words[1], "--help"], capture_output=True, text=True, check=True
            )
            assert all(option in known.stdout for option in options), line


def parse_command(words: list[str]) -> None:
    """Read the arguments of a command of ``orofacial`` as its program does, without running it."""
    from pipeline.cli import main

    group: Any = main
    context = click.Context(main, info_name="orofacial")
    while isinstance(group, click.Group):
        name, command, words = group.resolve_command(context, words)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
        group = command
    group.make_parser(context).parse_args(list(words))


def run_page(page: str, folder: Path, environment: dict[str, str], stands_for: dict[str, str] | None = None) -> str:
    """Run the blocks of a page in a folder; what they said.

    Parameters
    ----------
    page : str
    folder : Path
        Where the page's blocks run.
    environment : dict
        Variables beside those of this process.
    stands_for : dict, optional
        What replaces a text of the page that cannot mean anything here, such as the address of a lab's server.
    """
    said = ""
    blocks = [block for block in blocks_of(page) if not block.reason]
    for (language, how), group in itertools.groupby(blocks, lambda block: (block.language, block.how)):
        following = list(group)
        text = "\n".join(block.text for block in following)
        for name, replacement in (stands_for or {}).items():
            text = text.replace(name, replacement)
        place = f"{page}, from line {following[0].line}"
        if how == "until stopped":
            for line in filter(None, text.splitlines()):
                said += _run_until_it_speaks(shlex.split(line, comments=True), folder, environment, place)
            continue
        expected = int(how.removeprefix("exit code: ")) if how else 0
        program = ["bash", "-euxc", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expected, f"{place}: code {done.returncode}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    return said


def _run_until_it_speaks(words: list[str], folder: Path, environment: dict[str, str], place: str) -> str:
    """Start a command that runs until it is stopped, wait for its first line, and stop it as a person does."""
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() in {0, 130}, (
            f"{place}: {shlex.join(words)} ended with {process.returncode}\n{first}{rest}"
        )
    return first


def test_the_first_screen(lab_pages: Any) -> None:
    run_page("README.md", *lab_pages("README"))


@pytest.mark.slow
def test_asking(lab_pages: Any, lab_arrays: str) -> None:
    folder, environment = lab_pages("asking")
    run_page("docs/asking.md", folder, environment, {"lab_pose": lab_arrays})
    assert (folder / "jaw.parquet").exists() and (folder / "variance.csv").exists()


@pytest.mark.slow
def test_filters(lab_pages: Any) -> None:
    run_page("docs/filters.md", *lab_pages("filters"))


@pytest.mark.slow
def test_workers(lab_pages: Any) -> None:
    run_page("docs/workers.md", *lab_pages("workers"))


@pytest.mark.slow
def test_corrections(lab_pages: Any) -> None:
    folder, environment = lab_pages("corrections")
    said = run_page("docs/corrections.md", folder, environment)
    assert "mouse mouse02 is M002 now: 1 session, with every result" in said
    assert "nothing to correct: the lab knows that already" in said


@pytest.mark.slow
def test_beyond_one_machine(engines_page: tuple[Path, dict[str, str]]) -> None:
    """Each engine reads the lab's tracks from S3, and at once those of its folder, as another lab's."""
    from pipeline import query

    folder, environment = engines_page
    question: dict[str, Any] = {"camera": "lower", "filter": "kalman", "node": "jaw_tip"}
    in_folder = query.manifest(**question)
    command = ["orofacial", "tracks", "--camera", "lower", "--filter", "kalman", "--node", "jaw_tip"]
    subprocess.run([*command, "--manifest", "-o", "s3.parquet"], cwd=folder, env=environment, check=True)
    in_s3 = pq.read_table(folder / "s3.parquet")
    assert in_folder["file"].to_pylist()[0].startswith("/") and in_s3["file"].to_pylist()[0].startswith("s3://lab/")
    assert len(set(map(tuple, in_s3["file_columns"].to_pylist()))) == 2
    others = pa.array([f"other {mouse}" for mouse in in_folder["mouse_id"].to_pylist()])
    both = pa.concat_tables([in_s3, in_folder.set_column(0, "mouse_id", others)])
    pq.write_table(both, folder / "both.parquet")

    run_page("docs/beyond_one_machine.md", folder, environment, {'"files.parquet"': '"both.parquet"'})
    statement = "select mouse_id, var_samp(jaw_tip_y) as variance_px2 from tracks group by 1 order by 1"
    asked = query.sql(statement, **question).df().set_index("mouse_id")
    by_command = pd.read_csv(folder / "duckdb.csv", index_col="mouse_id")
    pd.testing.assert_frame_equal(by_command, asked, rtol=1e-12, check_index_type=False)
    expected = pd.concat([asked, asked.rename(index=lambda mouse: f"other {mouse}")])
    assert len(expected) == 8 and expected["variance_px2"].between(0.1, 1e4).all()
    for engine in ("spark", "dask"):
        found = pd.read_csv(folder / f"{engine}.csv", index_col="mouse_id")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, check_index_type=False, obj=engine)


@pytest.mark.slow
def test_out_of_here(lab_pages: Any, small_lab: Any) -> None:
    """The last one on this lab: it deletes a session and a model."""
    folder, environment = lab_pages("out_of_here")
    said = run_page("docs/out_of_here.md", folder, environment, {"9f31c0d2a84be765": small_lab.model_ids["side"]})
    assert list((folder / "nwb").rglob("*.nwb")) and list((folder / "slp").rglob("*.slp"))
    assert "Session" in said


@pytest.mark.slow
def test_own_data(own_data: tuple[Path, dict[str, str]]) -> None:
    folder, environment = own_data
    run_page("docs/own_data.md", folder, environment)
    assert (folder / "jaw.csv").stat().st_size > 1000 and (folder / "report.html").exists()


@pytest.mark.slow
def test_layouts(flat_recordings: tuple[Path, dict[str, str]]) -> None:
    said = run_page("docs/layouts.md", *flat_recordings)
    assert "m1/2026-03-02_1 lower: m1_20260302_bottom.avi" in said
    assert "2 ingested, 1 left out" in said


@pytest.mark.slow
def test_server(lab_server_page: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    said = run_page("docs/server.md", *lab_server_page)
    assert "orofacial_reader" in said


@pytest.mark.slow
def test_backup(lab_server_page: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    folder, environment, stands_for = lab_server_page
    ingest = ["orofacial", "ingest", "raw", "--stable-after", "0"]
    subprocess.run(ingest, cwd=folder, env=environment, capture_output=True, check=True)
    said = run_page("docs/backup.md", folder, environment, stands_for)
    assert "each as it was" in said and "the lab can be used here again" in said


@pytest.mark.slow
def test_s3(s3_page: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    said = run_page("docs/s3.md", *s3_page)
    assert "tracks s3: " in said and "s3://lab/tracks/" in (s3_page[0] / "files.csv").read_text()


def test_query() -> None:
    assert all(block.reason for block in blocks_of("docs/query.md")), "it has a lab of 1,000 sessions"


def test_every_page_is_run() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [page for page in PAGES if f'run_page("{page}"' not in here and page != "docs/query.md"] == []
