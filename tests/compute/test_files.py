"""Files are whole or not there: also of two processes that write one at the same time, and after one was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compute.errors import OrofacialError
from compute.files import whole_file

ROOT = Path(__file__).parents[2]

WRITE_FOREVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from compute.errors import OrofacialError
from compute.files import whole_file
with whole_file(Path(sys.argv[2]), OrofacialError) as temporary:
    temporary.write_text("half")
    print("half is written", flush=True)
    sys.stdin.read()
"""

WRITE_MANY_TIMES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from compute.errors import OrofacialError
from compute.files import whole_file
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with whole_file(Path(sys.argv[2]), OrofacialError) as temporary:
        with temporary.open("w") as file:
            for _ in range(20):
                file.write(sys.argv[3] * 1000)
                file.flush()
"""


def start(code: str, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(ROOT), *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_write_one_file_leave_one_of_both(tmp_path: Path) -> None:
    path = tmp_path / "mice.txt"
    writers = [start(WRITE_MANY_TIMES, path, letter) for letter in "ab"]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        content = path.read_text() if path.exists() else "a" * 20_000
        assert content in ("a" * 20_000, "b" * 20_000)
    assert [writer.communicate() for writer in writers] == [("", ""), ("", "")]
    assert [file.name for file in tmp_path.iterdir()] == ["mice.txt"]


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mice [1].txt"
    killed, running = (start(WRITE_FOREVER, path) for _ in range(2))
    for writer in (killed, running):
        assert writer.stdout is not None and writer.stdout.readline() == "half is written\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 2
    with whole_file(path, OrofacialError) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
    assert len(list(tmp_path.iterdir())) == 2  # the file, and what the running process writes
    running.communicate("")
    assert path.read_text() == "half"  # it was the last one
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_written_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(OrofacialError, match="there is no folder"),
        whole_file(tmp_path / "missing" / "mice.txt", OrofacialError) as temporary,
    ):
        temporary.write_text("mouse01")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "mice.txt", OrofacialError) as temporary:
        temporary.write_text(f"mouse{1 // 0}")
    assert list(tmp_path.iterdir()) == []
