"""The command as a person or a script sees it: what it prints, and its exit code."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import pytest

from pipeline.cli import COMMANDS

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(run_command: Run, tmp_path: Path) -> Run:
    """Run `orofacial` with a data folder of the test's own."""
    return partial(run_command, "--data-folder", tmp_path / "data", folder=tmp_path)


def test_a_new_folder_from_init_to_status(run: Run, tmp_path: Path, make_session: Callable[..., Path]) -> None:
    places = run("init", "--json")
    assert places.returncode == 0, places.stderr
    assert json.loads(places.stdout)["data_folder"] == str(tmp_path / "data")
    make_session("mouse01/2026-03-02_1")
    checked = run("ingest", tmp_path / "raw", "--dry-run", "--stable-after", 0)
    assert "would be ingested: mouse01/2026-03-02_1: lower 20 frames, side 20 frames" in checked.stdout
    taken = run("ingest", tmp_path / "raw", "--stable-after", 0, "--json")
    assert json.loads(taken.stdout)["counts"] == {"ingested": 1}
    state = json.loads(run("status", "--json").stdout)
    assert list(state["sessions"]) == ["mouse01/2026-03-02_1"]
    computed = run("populate").stdout
    assert "nothing was computed" in computed
    for camera in ("lower", "side"):
        assert f"not computed: camera {camera}: 1 video and no deployed model" in computed


def test_init_says_what_it_makes_as_it_makes_it(run: Run, tmp_path: Path) -> None:
    said = run("init").stderr.replace("\n", " ")
    assert f"making an embedded database in {tmp_path / 'data'}" in said
    assert said.index("making the tables") < said.index("making the job tables") < said.index("filling table FilterM")
    assert run("init").stderr == "opening the lab\n"


def test_what_was_not_done_ends_with_a_code_and_one_message(run: Run, tmp_path: Path) -> None:
    for arguments, said in [
        (("ingest", tmp_path / "nowhere"), "nowhere is not a folder"),
        (("labels", "import", tmp_path / "none.slp", "--camera", "side"), "none.slp does not exist"),
        (("labels", "import", tmp_path / "none.slp", "--camera", "top"), "unknown camera 'top'"),
        (("model", "train", "nothing", "--camera", "side"), "no labels 'nothing'"),
        (("model", "import", tmp_path, "--camera", "side"), str(tmp_path)),
        (("model", "deploy", "0123"), "no model '0123'"),
        (("tracks", "--filter", "kalmann"), "gaussian, gaussian_gated, interpolate, kalman, median"),
        (("report",), "no tracks have been computed"),
    ]:
        result = run(*arguments)
        assert result.returncode == 1, arguments
        assert said in result.stderr.replace("\n", ""), result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_watch_tells_programs_of_each_session_in_a_line(
    run: Run, tmp_path: Path, make_session: Callable[..., Path]
) -> None:
    assert run("init").returncode == 0
    make_session("mouse01/2026-03-02_1")
    options = ["--data-folder", tmp_path / "data", "watch", tmp_path / "raw", "--marker", "done", "--scan-every", 1]
    watch = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *map(str, options), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert watch.stdout is not None
    try:
        (tmp_path / "raw" / "mouse01" / "2026-03-02_1" / "done").touch()
        ingested = json.loads(watch.stdout.readline())
        bad = make_session("mouse01/2026-03-03_1")
        (bad / "side.mp4").write_bytes(b"no video")
        (bad / "done").touch()
        refused = json.loads(watch.stdout.readline())
    finally:
        watch.terminate()
        rest, _ = watch.communicate(timeout=60)
    assert set(ingested) == set(refused) == {"time", "folder", "session", "called", "status", "message"}
    assert (ingested["status"], ingested["folder"]) == ("ingested", str(tmp_path / "raw/mouse01/2026-03-02_1"))
    assert (refused["status"], refused["folder"]) == ("refused", str(bad))
    assert "side.mp4" in refused["message"]
    assert rest == "" and watch.returncode == 0


@pytest.mark.slow
def test_watching_nothing_is_one_line_for_programs_too(run: Run, tmp_path: Path) -> None:
    result = run("watch", tmp_path / "nowhere", "--json")
    assert result.returncode == 1
    (line,) = result.stdout.splitlines()
    assert "nowhere is not a folder" in json.loads(line)["error"]


def test_a_setting_that_does_not_exist_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.toml").write_text('sesion_pattern = "{mouse}"\n')
    result = run("status")
    assert result.returncode == 1
    assert "sesion_pattern" in result.stderr


def _command(name: str) -> click.Command:
    command = getattr(importlib.import_module(f"pipeline.cli.{COMMANDS[name][0]}"), name.replace("-", "_"))
    assert isinstance(command, click.Command)
    return command


@pytest.mark.parametrize("name", [name for name, (_, line) in COMMANDS.items() if ": " in line])
def test_the_line_of_a_group_names_all_its_commands(name: str) -> None:
    group, (_, line) = _command(name), COMMANDS[name]
    if isinstance(group, click.Group):
        assert set(line.rstrip(".").rpartition(": ")[2].split(", ")) == set(group.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_line_of_help_fits_a_terminal_and_every_option_is_explained(name: str) -> None:
    assert len(COMMANDS[name][1]) <= 80 - len("| migrate-tracks   |")
    group = _command(name)
    for command in group.commands.values() if isinstance(group, click.Group) else [group]:
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert [one.name for one in options if not one.help] == [], command.name


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['orofacial', '--help']\nfrom pipeline.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'datajoint', 'numpy', 'pydantic') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_a_command_is_silent_of_datajoints_configuration_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--data-folder", str(tmp_path / "lab"), "restore", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert result.returncode == 1 and "datajoint" not in result.stderr and "backup" in result.stderr
