"""Workers on a real Slurm: three virtual nodes with a fake GPU each, and everything that goes wrong on a cluster.

What happens, happens to a worker in the middle of a make, however fast the machine is: the worker is frozen (SIGSTOP)
when the job table says that it has a pose to estimate, and only then the node dies or the job is cancelled. A frozen
worker also comes to its time limit for certain; Slurm wakes it up then to let it end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg2
import pytest

from compute.labels import LabeledFrameSource, write_package
from compute.video import write_video

pytestmark = pytest.mark.slurm

NODES = ("node1", "node2", "node3")
# Any character device can stand for a GPU that nothing computes on.
FAKE_GPUS = ("/dev/null", "/dev/zero", "/dev/full")
# What lets a node have a host name that the rest of the machine does not see.
OWN_HOST_NAME = ["unshare", "--uts", *([] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"])]
REPOSITORY = Path(__file__).parents[3]
NODE_NAMES = ("left_snout_tip", "right_snout_tip")
N_FRAMES = 2000
TINY = "filters = 8\nmax_stride = 8\noutput_stride = 4\nscale = 0.5\nepochs = 2\npatience_epochs = 0\n"
SETTINGS = """
[gpu_workers]
max_workers = 2
partition = "main"
gres = "gpu:1"
memory = "6000M"
time_limit = "10"
n_cpus = 1

[cpu_workers]
max_workers = 2
memory = "2000M"
time_limit = "5"
"""
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SlurmdTimeout=10
SlurmdParameters=config_overrides
KillWait=20
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class SlurmCluster:
    """Slurm's own daemons, in a folder of their own; `SLURM_CONF` leads its programs there."""

    def __init__(self, folder: Path) -> None:
        for program in ("munged", "slurmctld", "slurmd"):
            if shutil.which(program, path="/usr/sbin:" + os.environ["PATH"]) is None:
                pytest.fail("this test needs Slurm: apt-get install --no-install-recommends slurm-wlm munge")
        if subprocess.run([*OWN_HOST_NAME, "true"], check=False).returncode != 0:
            pytest.fail("this test gives nodes host names of their own (unshare --uts), which is not allowed here")
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("spool", "state"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        nodes = [
            f"NodeName={node} NodeAddr=127.0.0.1 Port={free_port()} CPUs=4 RealMemory=16000 Gres=gpu:1 State=UNKNOWN"
            for node in NODES
        ]
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                port=free_port(),
                folder=folder,
                user=os.environ.get("USER", "root") if os.geteuid() else "root",
                nodes="\n".join(nodes),
            )
        )
        gpus = [f"NodeName={node} Name=gpu File={gpu}\n" for node, gpu in zip(NODES, FAKE_GPUS, strict=True)]
        (folder / "gres.conf").write_text("".join(gpus))
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}

    def start(self) -> None:
        munge = [
            *("munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key"),
            *(f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid"),
            *(f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munge.seed"),
        ]
        self._daemon("munged", munge)
        wait_for(lambda: (self.folder / "munge.socket").exists(), "munge")
        self._daemon("slurmctld", ["slurmctld", "-D", "-i"])
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self.run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * 3, "three idle nodes")

    def start_node(self, node: str) -> None:
        """Start a node as a machine of its own name, so that its workers are nobody's local processes."""
        self._daemon(node, [*OWN_HOST_NAME, "sh", "-c", 'hostname "$0" && exec slurmd -D -N "$0"', node])

    def kill_node(self, node: str) -> None:
        """The power goes: Slurm's daemon of the node and everything that it started die at once."""
        _kill(psutil.Process(self.daemons[node].pid))
        for process in self._processes(SLURMD_NODENAME=node):
            _kill(process)
        self.daemons[node].wait()

    def stop(self) -> None:
        """End everything that was started here, also what a killed daemon left behind."""
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()
        for process in self._processes():
            _kill(process)

    def _processes(self, **variables: str) -> list[psutil.Process]:
        """What this cluster started with these variables, and Slurm's daemons of these jobs' steps."""
        wanted = {"SLURM_CONF": self.environment["SLURM_CONF"], **variables}.items()
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and wanted <= process.environ().items():
                    found += [process]
                    found += [parent for parent in process.parents() if parent.name().startswith("slurmstepd")]
        return found

    def run(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> dict[int, dict[str, str]]:
        """Every job that there was, as scontrol shows it."""
        shown = self.run("scontrol", "show", "job", "--oneliner")
        jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.splitlines() if line.startswith("JobId=")]
        return {int(job["JobId"]): job for job in jobs}

    def running(self) -> dict[int, str]:
        """The node of each running job."""
        return {number: job["NodeList"] for number, job in self.jobs().items() if job["JobState"] == "RUNNING"}

    def task(self, number: int) -> str:
        """A job's name as the task of its array; the number alone may also be that of the whole array."""
        job = self.jobs()[number]
        return f"{job['ArrayJobId']}_{job['ArrayTaskId']}"

    def _daemon(self, name: str, command: list[str]) -> None:
        output = (self.folder / f"{name}.out").open("ab")
        self.daemons[name] = subprocess.Popen(
            command, env={**os.environ, **self.environment}, stdout=output, stderr=subprocess.STDOUT
        )


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.2)
    return found


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[SlurmCluster]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def moving_blob(n_frames: int, seed: int) -> Iterator[np.ndarray]:
    """Gray frames with a bright blob on its way."""
    y, x = np.mgrid[:80, :96]
    for frame_index in range(n_frames):
        center = 48 + 20 * np.sin(frame_index / 10 + seed)
        yield (30 + 200 * np.exp(-((x - center) ** 2 + (y - 30 - seed % 20) ** 2) / 60)).astype(np.uint8)


def label_frames(path: Path) -> None:
    """Two nodes beside the blob, in twelve frames."""
    images = np.stack(list(moving_blob(12, 3)))
    center = 48 + 20 * np.sin(np.arange(12) / 10 + 3)
    position = np.stack([np.stack([center - 5, np.full(12, 33.0)], 1), np.stack([center + 5, np.full(12, 33.0)], 1)], 1)
    sources = [LabeledFrameSource(str(path.with_suffix(".mp4")), frame_index) for frame_index in range(12)]
    write_package(path, images, position, NODE_NAMES, (NODE_NAMES,), sources)


@dataclass(frozen=True)
class Reservation:
    """A pose that a worker has reserved: the job's key as logs show it, and the worker."""

    key: str
    pid: int
    connection_id: int


@dataclass(frozen=True)
class FrozenWorker:
    """A worker that was stopped by SIGSTOP with a reserved job, its Slurm job and node."""

    reservation: Reservation
    slurm_job: int
    node: str


class Lab:
    """A prepared server, people with their roles, and a raw folder."""

    def __init__(self, server: Any, folder: Path, slurm: SlurmCluster, run_python: Any) -> None:
        self.server, self.folder, self.slurm, self.run_python = server, folder, slurm, run_python
        self.raw_folder, self.n_sessions = folder / "raw", 0
        self.raw_folder.mkdir()
        for name in ("data", "temporary"):
            (folder / name).mkdir()
        (folder / "data" / "settings.toml").write_text(SETTINGS)
        own = {"DJ_PASS": server.password, **self.common}
        run_python("orofacial", folder, "db", "init", "--server", server.url, **own)

    def record_session(self) -> None:
        """A session as a rig leaves it."""
        folder = self.raw_folder / f"mouse{self.n_sessions:02}" / "2026-03-02_1"
        folder.mkdir(parents=True)
        write_video(folder / "side.mp4", moving_blob(N_FRAMES, self.n_sessions), 100)
        self.n_sessions += 1

    def session_arrives(self) -> None:
        """A new session, taken in."""
        self.record_session()
        counts = self.orofacial("ingester", "ingest", self.raw_folder, "--stable-after", 0)["counts"]
        assert counts["ingested"] == 1

    @property
    def common(self) -> dict[str, str]:
        return {
            "OROFACIAL_DATA_FOLDER": str(self.folder / "data"),
            "OROFACIAL_SCHEMA_PREFIX": "slurm_",
            "TMPDIR": str(self.folder / "temporary"),  # a killed worker leaves its files
            **self.slurm.environment,
        }

    def environment(self, role: str) -> dict[str, str]:
        password = (self.folder / ".secrets" / f"{role}.password").read_text().strip()
        return {**self.server.variables(f"slurm_{role}", password), **self.common}

    def orofacial(self, role: str, *arguments: object, expect: int | None = 0) -> Any:
        """Run the command with --json in a role; return what it printed."""
        done = self.run_python("orofacial", self.folder, *arguments, "--json", expect=expect, **self.environment(role))
        return json.loads(done.stdout)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        where = {"host": "127.0.0.1", "port": self.server.port, "user": self.server.administrator}
        connection = psycopg2.connect(**where, password=self.server.password, dbname="orofacial")
        with connection, connection.cursor() as cursor:
            cursor.execute(query)
            rows = list(cursor.fetchall())
        connection.close()
        return rows

    def is_complete(self) -> bool:
        """Whether every session has every result, and no job is left."""
        expected = {"pose.__pose_estimation": 1, "track.__track_quality": 1, "track.__filtered_track": 8}
        for table, n in {**expected, "metric.__distance_metrics": 8, "metric.__filter_comparison": 8}.items():
            if self.sql(f"SELECT count(*) FROM slurm_{table}")[0][0] != n * self.n_sessions:
                return False
        return not self.jobs()

    def finished_jobs(self) -> Counter[str]:
        """How often the workers' logs say that a job was finished, for each job."""
        logs = "\n".join(file.read_text() for file in (self.folder / "data" / "log").glob("*.log"))
        return Counter(
            re.findall(
                r"((?:PoseEstimation|TrackQuality|FilteredTrack|DistanceMetrics|FilterComparison) .+) [\d.]+ s$",
                logs,
                re.MULTILINE,
            )
        )

    def log(self, number: int) -> str:
        """What the worker of a Slurm job wrote."""
        job = self.slurm.jobs()[number]
        return (self.folder / "data" / "log" / f"slurm-{job['ArrayJobId']}_{job['ArrayTaskId']}.log").read_text()

    def passes(self) -> list[dict[str, Any]]:
        """What the passes of `cluster up --every` found and did."""
        return [json.loads(line) for line in (self.folder / "up.log").read_text().splitlines() if line.startswith("{")]

    def crashes(self) -> list[tuple[Any, ...]]:
        """Machine and process of every worker that died with a job."""
        return self.sql("SELECT host, pid FROM slurm_worker.crash")

    def jobs(self) -> dict[str, int]:
        """Rows of all job tables, by status."""
        counts: dict[str, int] = {}
        tables = [
            *('slurm_pose."~~pose_estimation"', 'slurm_track."~~filtered_track"', 'slurm_track."~~track_quality"'),
            'slurm_metric."~~distance_metrics"',
        ]
        for table in tables:
            for status, n in self.sql(f"SELECT status, count(*) FROM {table} GROUP BY status"):
                counts[status] = counts.get(status, 0) + n
        return counts

    def freeze_worker(self) -> FrozenWorker:
        """Freeze a worker in the middle of a pose estimation; sessions arrive as long as there is none."""
        deadline = time.monotonic() + 180
        while True:
            for found in self._estimating():
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
                    frozen = self._try_to_freeze(found)
                    if frozen is not None:
                        return frozen
            assert time.monotonic() < deadline, "no worker takes poses"
            if not self.sql("SELECT 1 FROM slurm_pose.\"~~pose_estimation\" WHERE status = 'pending'"):
                self.session_arrives()
            time.sleep(0.05)

    def _try_to_freeze(self, found: Reservation) -> FrozenWorker | None:
        process = psutil.Process(found.pid)
        number = int(process.environ().get("SLURM_JOB_ID", 0))
        node = self.slurm.running().get(number)
        if node is None or process.status() == psutil.STATUS_STOPPED:
            return None
        process.suspend()
        wait_for(lambda: process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}, "a process to stop")
        if found in self._estimating():
            return FrozenWorker(found, number, node)
        process.resume()  # it had just finished
        return None

    def has_job(self, worker: FrozenWorker) -> bool:
        """Whether the job table still says that the worker has its job."""
        return worker.reservation in self.reservations()

    def reservations(self, condition: str = "TRUE") -> list[Reservation]:
        """Poses that are reserved."""
        rows = self.sql(
            "SELECT mouse_id, session_date, session_number, camera, model_id, job.pid, connection_id"
            f" FROM slurm_pose.\"~~pose_estimation\" job WHERE status = 'reserved' AND {condition}"
        )
        return [
            Reservation(f"{mouse}/{date}_{number} {camera} {model}", pid, connection_id)
            for mouse, date, number, camera, model, pid, connection_id in rows
        ]

    def _estimating(self) -> list[Reservation]:
        """Poses whose workers ask nothing of the database: they compute."""
        return self.reservations("connection_id IN (SELECT pid FROM pg_stat_activity WHERE state = 'idle')")


@pytest.fixture
def lab(tmp_path: Path, slurm: SlurmCluster, lab_postgresql: Any, run_python: Any) -> Lab:
    return Lab(lab_postgresql, tmp_path, slurm, run_python)


@pytest.fixture
def trained(lab: Lab) -> Lab:
    """With a tiny model, and three sessions whose poses are to be estimated."""
    label_frames(lab.folder / "labels.pkg.slp")
    imported = lab.orofacial("ingester", "labels", "import", lab.folder / "labels.pkg.slp", "--camera", "side")
    (lab.folder / "tiny.toml").write_text(TINY)
    # Deployed at the wish of the lab: so tiny a model, which finds no point of the held-out frames, is not by itself.
    training = ("model", "train", imported["labels_id"], "--camera", "side", "--config", "tiny.toml", "--deploy")
    assert lab.orofacial("admin", *training)["deployed"]
    lab.orofacial("ingester", "pairs", "add", *NODE_NAMES, "--rigid")
    for _ in range(3):
        lab.record_session()
    assert lab.orofacial("ingester", "ingest", lab.raw_folder, "--stable-after", 0)["counts"] == {"ingested": 3}
    return lab


@contextlib.contextmanager
def cluster_up(lab: Lab) -> Iterator[None]:
    """`orofacial cluster up --every 2`, which must not end by itself."""
    command = [sys.executable, "-m", "pipeline.cli", "cluster", "up", "--every", "2", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **lab.environment("worker")}
    with (lab.folder / "up.log").open("ab") as log:
        up = subprocess.Popen(command, cwd=lab.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
        assert up.poll() is None
    finally:
        up.terminate()
        up.wait()


def test_every_result_is_there_once_whatever_happens_to_the_workers(trained: Lab) -> None:
    lab, slurm = trained, trained.slurm
    # What the first pass would do, does, and, run again at once, does not do again.
    would = lab.orofacial("worker", "cluster", "up", "--dry-run")
    assert slurm.jobs() == {}
    first = lab.orofacial("worker", "cluster", "up")
    assert [one["n_started"] for one in would["classes"]] == [one["n_started"] for one in first["classes"]] == [2, 0]
    second = lab.orofacial("worker", "cluster", "up")
    n_gpu, n_cpu = (one["n_started"] for one in second["classes"])
    # The first poses may be there by now, so that a pass has filters to start workers for; these too only once.
    assert n_gpu == 0 and n_cpu <= 2
    assert len(slurm.jobs()) == 2 + n_cpu

    with cluster_up(lab):
        late = lab.freeze_worker()
        assert slurm.jobs()[late.slurm_job]["TimeLimit"] == "00:10:00"
        # Slurm's shortest, counted from the job's start: it passes while the other things happen.
        slurm.run("scontrol", "update", f"JobId={slurm.task(late.slurm_job)}", "TimeLimit=1")
        killed = lab.freeze_worker()
        keeps_its_job_while_its_slurm_job_runs(lab, killed)
        slurm.kill_node(killed.node)
        wait_for(lambda: not lab.has_job(killed), "the job of the node that died to be released")
        lab.session_arrives()
        cancelled = lab.freeze_worker()
        slurm.run("scancel", slurm.task(cancelled.slurm_job))
        wait_for(lambda: cancelled.slurm_job not in slurm.running(), "the cancelled job to end")
        requeued = lab.freeze_worker()
        slurm.run("scontrol", "requeue", slurm.task(requeued.slurm_job))
        slurm.start_node(killed.node)
        lab.session_arrives()
        wait_for(lambda: slurm.jobs()[late.slurm_job]["JobState"] == "TIMEOUT", "a job to come to its time limit", 180)
        wait_for(lab.is_complete, "all results", timeout_s=300)

    jobs = slurm.jobs()
    assert jobs[cancelled.slurm_job]["JobState"] == "CANCELLED"
    assert int(jobs[requeued.slurm_job]["Restarts"]) >= 1 and int(jobs[killed.slurm_job]["Restarts"]) >= 1
    for stopped in (late, cancelled, requeued):
        assert f"PoseEstimation {stopped.reservation.key} put back: stopped" in lab.log(stopped.slurm_job)
    assert lab.crashes() == [(killed.node, killed.reservation.pid)], "only the node's death is a worker's death"
    has_every_result_once(lab)


def keeps_its_job_while_its_slurm_job_runs(lab: Lab, worker: FrozenWorker) -> None:
    """Cut a worker's connection: as long as Slurm runs it, it may be about to come back."""
    lab.sql(f"SELECT pg_terminate_backend({worker.reservation.connection_id})")
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = "
    wait_for(lambda: not lab.sql(held + str(worker.reservation.connection_id)), "its lock to be gone")
    n_before = len(lab.passes())
    wait_for(lambda: len(lab.passes()) > n_before + 3, "some passes")
    assert sum(one["n_released"] for one in lab.passes()) == 0
    assert lab.has_job(worker) and worker.slurm_job in lab.slurm.running()


def has_every_result_once(lab: Lab) -> None:
    stages = lab.orofacial("reader", "status")["sessions"]
    assert len(stages) == lab.n_sessions
    for stage, n in (("PoseEstimation", 1), ("TrackQuality", 1), ("FilteredTrack", 8), ("DistanceMetrics", 8)):
        assert {(row[stage]["done"], row[stage]["total"]) for row in stages.values()} == {(n, n)}, stage
    finished = lab.finished_jobs()
    assert len(finished) == 26 * lab.n_sessions and set(finished.values()) == {1}, "each computed once, and no more"
    wait_for(lambda: not lab.slurm.running(), "the workers to end when nothing is left")
    last = lab.orofacial("worker", "cluster", "up")
    assert [(one["n_pending"], one["n_reserved"], one["n_started"]) for one in last["classes"]] == [(0, 0, 0)] * 2
