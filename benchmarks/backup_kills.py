"""Backup, restore and move-to are killed at random moments: old state or new state, and never one between.

    python benchmarks/backup_kills.py [--json] [--kills 100] [--jobs 40] [--seed 0]

A small lab is backed up, restored into an empty data folder, and moved to a server (PostgreSQL on a port), in turn.
Each time the command is killed (SIGKILL) at a random moment of the time that it takes, the states are looked at, and
the command is run again, to its end.

kills      commands that were killed; the others had ended before
finished   commands that had ended before
between    states that are neither the old nor the new one
not_again  commands that could not be run again to their end, or did not give the same rows
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import psycopg2

from pipeline.database.embedded import EmbeddedServer

MAKE = """
import sys
from pathlib import Path
import faults
faults._connect(Path(sys.argv[1]))
faults.fill(int(sys.argv[2]))
"""

STATE = """
import json
import schemas
from compute.errors import DatabaseError
from pipeline.database.connection import open_connection
from pipeline.database.saved_rows import _filled_tables
from pipeline.database.table_rows import hash_rows, read_rows, stored_tables
from pipeline.settings import load_settings

settings = load_settings()
connection = open_connection(settings)
prefix = settings.schema_prefix
tables = stored_tables(connection, prefix)
found = {}
if _filled_tables(connection, prefix, tables):
    for table in tables:
        if table.module != "worker" and not table.name.startswith("~"):
            with connection.transaction:
                found[table.label] = str(hash_rows(read_rows(connection, prefix, table.in_order(sorted(
                    column.name for column in table.columns)))))
usable = True
try:
    schemas.activate(prefix, connection)
except DatabaseError:
    usable = False
print(json.dumps({"rows": found, "usable": usable}, sort_keys=True))
"""


@dataclass
class Lab:
    """A data folder, and the server that is configured for it, if any."""

    folder: Path
    variables: dict[str, str]

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a command of orofacial, or a program after ``-c``."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
        own = {"OROFACIAL_DATA_FOLDER": str(self.folder), **self.variables}
        own["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        program = ["-W", "ignore", *([] if words[0] == "-c" else ["-m", "pipeline.cli"]), *map(str, words)]
        return subprocess.Popen(
            [sys.executable, *program],
            **{"env": {**inherited, **own}, "cwd": self.folder.parent, "text": True, "start_new_session": True},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: object) -> tuple[int, str]:
        """Run it to its end: exit code, and what it printed."""
        process = self.start(*words)
        out, error = process.communicate()
        if process.returncode:
            print(error, file=sys.stderr)
        return process.returncode, out

    def state(self) -> tuple[dict[str, str], bool]:
        """Hash of the rows of each table, none of an empty lab; and whether it can be used."""
        code, out = self.run("-c", STATE)
        if code:
            sys.exit("a lab could not be looked at")
        found = json.loads(out.splitlines()[-1])
        return found["rows"], found["usable"]


class Kills:
    """What was done to a lab, and what came of it."""

    def __init__(self, folder: Path, n_jobs: int, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.counts = {"kills": 0, "finished": 0, "between": 0, "not_again": 0}
        self.longest_s: dict[str, float] = {}
        self.lab = Lab(folder / "lab", {})
        self.lab.folder.mkdir()
        if self.lab.run("-c", MAKE, self.lab.folder, n_jobs)[0] or self.lab.run("backup", folder / "backup")[0]:
            sys.exit("the lab could not be made")
        self.rows, _ = self.lab.state()
        self.server = EmbeddedServer(folder / "server")
        self.port = self._start_server()

    def _start_server(self) -> int:
        """A PostgreSQL on a port, with a password."""
        self.server.enter()
        connection = psycopg2.connect(host=str(self.server.socket_folder), user="postgres", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute("ALTER ROLE postgres PASSWORD 'secret'")
        connection.close()
        self.server.leave()
        (self.server.cluster / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.server._run("pg_ctl", "start", "-w", "-l", "lab.log", "-o", f"-h 127.0.0.1 -p {port} -k ''")
        return port

    def stop(self) -> None:
        """Stop the server."""
        self.server._run("pg_ctl", "stop", "-w", "-m", "fast")

    def kill(self, lab: Lab, *words: object) -> None:
        """Start a command, and kill it at a random moment."""
        kind = str(words[0])
        if kind not in self.longest_s:  # how long it takes: the first one is left alone
            started_s = time.monotonic()
            lab.run(*words)
            self.longest_s[kind] = time.monotonic() - started_s
            self.counts["finished"] += 1
            return
        process = lab.start(*words)
        try:
            process.wait(self.chance.uniform(0.2, 1) * self.longest_s[kind])
            self.counts["finished"] += 1
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.counts["kills"] += 1
        process.communicate()

    def one(self, number: int) -> None:
        """One command, in turn."""
        place = self.folder / f"round{number}"
        place.mkdir()
        (self.backup, self.restore, self.move)[number % 3](place)
        shutil.rmtree(place)

    def backup(self, place: Path) -> None:
        """A backup is whole, or none."""
        self.kill(self.lab, "backup", place / "backup")
        names = sorted(path.name for path in (place / "backup").glob("2*") if path.suffix != ".part")
        self.counts["between"] += sum(self.lab.run("restore", place / "backup", "--dry-run")[0] != 0 for _ in names[:1])
        self.counts["between"] += self.lab.state() != (self.rows, True)
        again = [self.lab.run(*words)[0] for words in (("backup", place / "backup"), self._check(place / "backup"))]
        self.counts["not_again"] += any(again)

    @staticmethod
    def _check(folder: Path) -> tuple[object, ...]:
        return ("restore", folder, "--dry-run")

    def restore(self, place: Path) -> None:
        """A restored lab has all rows, or none."""
        lab = Lab(place / "lab", {})
        self.kill(lab, "restore", self.folder / "backup")
        self.counts["between"] += lab.state()[0] not in ({}, self.rows)
        code, _ = lab.run("restore", self.folder / "backup")
        self.counts["not_again"] += code != 0 or lab.state() != (self.rows, True)

    def move(self, place: Path) -> None:
        """The old database has its rows; either it is used, or the new one has them too."""
        name, address = place.name, f"127.0.0.1:{self.port}"
        embedded = Lab(place / "lab", {})
        subprocess.run(["cp", "-a", self.lab.folder, embedded.folder], check=True)
        moving = Lab(embedded.folder, {"DJ_PASS": "secret"})
        user = {"DJ_USER": "postgres", "DJ_PASS": "secret", "DJ_DATABASE_NAME": name}
        server = Lab(
            embedded.folder, {"DJ_BACKEND": "postgresql", "DJ_HOST": "127.0.0.1", "DJ_PORT": str(self.port), **user}
        )
        words = ("move-to", f"postgresql://postgres@{address}/{name}")
        self.kill(moving, *words)
        self.counts["between"] += embedded.state()[0] != self.rows
        code, _ = moving.run(*words)
        self.counts["not_again"] += code != 0 or server.state() != (self.rows, True) or embedded.state()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kills", type=int, default=100, help="commands that are killed")
    parser.add_argument("--jobs", type=int, default=40, help="size of the lab, as of faults.py")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="orofacial-kills-"))
    kills = Kills(folder, options.jobs, options.seed)
    try:
        number = 0
        while kills.counts["kills"] < options.kills and number < 2 * options.kills + 3:
            kills.one(number)
            number += 1
    finally:
        kills.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(kills.counts))
    else:
        print(", ".join(f"{count} {what}" for what, count in kills.counts.items()))


if __name__ == "__main__":
    main()
