"""The images and services of docker/, as far as they can be checked where no Docker runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docker"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))


def interpolated(text: str) -> str:
    """The file with every `${NAME:-default}` as it is where nothing is set."""
    return re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.fixture(scope="module")
def compose_text() -> str:
    return interpolated((FOLDER / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def compose(compose_text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(compose_text))


def parse(text: str) -> compose_spec.PyCompose:
    options = compose_spec.PyOptions()
    options.apply_merge = True
    parsed = options.from_yaml(text)
    parsed.validate()
    return parsed


def test_compose_follows_the_specification(compose_text: str) -> None:
    parse(compose_text)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("restart: unless-stopped", "restat: unless-stopped"),
        ("condition: service_healthy", "condition: service_healthy_soon"),
        ("{source: certificate_key,", "{source: certificat_key,"),
        ("127.0.0.1:5432:5432", "127.0.0:5432:5432"),
    ],
)
def test_a_wrong_compose_file_is_found(compose_text: str, right: str, wrong: str) -> None:
    assert right in compose_text
    with pytest.raises(ValueError, match=r"."):
        parse(compose_text.replace(right, wrong))


def test_images_are_pinned_and_what_is_named_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        tag = service["image"].partition(":")[2]
        assert tag and tag != "latest", name
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        named = {volume.partition(":")[0] for volume in service.get("volumes", []) if isinstance(volume, str)}
        assert {volume for volume in named if not volume.startswith(".")} <= set(compose["volumes"]), name
    for dockerfile in DOCKERFILES:
        for image in re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE):
            assert re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", image), dockerfile


def test_no_password_stands_in_a_file_or_an_environment(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            assert not re.search(r"PASS|SECRET|KEY|TOKEN", variable), name
            assert "secret_key" not in str(value), name
    for dockerfile in DOCKERFILES:
        assert not re.search(r"(?i)password|secret|token", dockerfile.read_text())
        assert re.search(r"^USER 1000$", dockerfile.read_text(), re.MULTILINE)
    ignored = (FOLDER.parent / ".gitignore").read_text()
    assert "docker/secrets/" in ignored and "docker/.env" in ignored
    kept = [line[1:] for line in (FOLDER.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "docker/install.sh" in kept and not any("secrets" in line for line in kept)


def test_the_secrets_that_the_services_use_are_made(compose: dict[str, Any], tmp_path: Path) -> None:
    script = shutil.copy(FOLDER / "make-secrets.sh", tmp_path)
    subprocess.run([script, "db.lab.example"], check=True, capture_output=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} <= set(files)
    assert {(tmp_path / "secrets" / name).stat().st_mode & 0o077 for name in files} == {0}
    assert len({content for name, content in files.items() if name.endswith(".password")}) == 5
    identity = json.loads(files["object-store.json"])["identities"][0]["credentials"][0]
    assert identity == {"accessKey": "orofacial", "secretKey": files["object-store.key"].decode()}
    subprocess.run([script, "other"], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == files


def test_datajoint_understands_the_stores(compose: dict[str, Any], tmp_path: Path) -> None:
    """With the variables of the service, and its secrets in the folder that DataJoint reads them from."""
    service = compose["services"]["worker-cpu"]
    secrets = {Path(secret["target"]).name for secret in service["secrets"] if "/datajoint/" in secret["target"]}
    for name in secrets:
        (tmp_path / ".secrets").mkdir(exist_ok=True)
        (tmp_path / ".secrets" / name).write_text(f"content of {name}")
    (tmp_path / "datajoint.json").write_text("{}")
    program = """
import datajoint as dj, json
stores = {name: dj.config.get_store_spec(name) for name in ("tracks", "models", "labels")}
print(json.dumps([dj.config["database.user"], dj.config["database.password"], dj.config.database.use_tls, stores]))
"""
    environment = {**os.environ, **{name: str(value) for name, value in service["environment"].items()}}
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    user, password, use_tls, stores = json.loads(printed.stdout.splitlines()[-1])
    assert (user, password, use_tls) == ("orofacial_worker", "content of database.password", True)
    for name, store in stores.items():
        assert (store["bucket"], store["location"]) == ("orofacial", name)
        assert store["secret_key"] == f"content of stores.{name}.secret_key"


def test_dockerfiles_are_clean(tmp_path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    for dockerfile in DOCKERFILES:
        found = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN sudo apt-get install python3\n")
    assert subprocess.run([hadolint, bad], capture_output=True, check=False).returncode == 1


def test_dockerfiles_copy_what_there_is() -> None:
    for dockerfile in DOCKERFILES:
        for line in re.findall(r"^COPY (?!--from)(.*)", dockerfile.read_text(), re.MULTILINE):
            *sources, _ = line.split()
            assert all((FOLDER.parent / source).exists() for source in sources), line


@pytest.mark.slow
def test_the_compose_command_accepts_the_file(tmp_path: Path) -> None:
    """Debian's docker-compose needs no engine to read a file. It is too old to know `name`."""
    assert shutil.which("docker-compose"), "this test needs: apt-get install docker-compose"
    shutil.copytree(FOLDER, tmp_path / "docker")
    file = tmp_path / "docker" / "compose.yaml"
    file.write_text(re.sub(r"^name: .*$", "", file.read_text(), flags=re.MULTILINE))
    command = ["docker-compose", "-f", file, "--profile", "gpu", "config"]
    read = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "CPU_WORKERS": "5"})
    assert read.returncode == 0, read.stderr
    services = yaml.safe_load(read.stdout)["services"]
    assert services["worker-cpu"]["deploy"]["replicas"] == 5
    assert services["worker-gpu"]["command"] == ["work", "--gpu"]


@pytest.mark.slow
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_the_install_step_of_an_image_works_in_a_plain_folder(dockerfile: Path, tmp_path: Path) -> None:
    """What the image copies, in a folder of its own, then its own command; torch comes from PyPI for both."""
    text = dockerfile.read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)", text[: text.rindex("\nFROM ")], re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / "src" / target / (Path(source).name if target.endswith("/") else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            origin = FOLDER.parent / source
            shutil.copytree(origin, place, dirs_exist_ok=True) if origin.is_dir() else shutil.copy(origin, place)
    (step,) = re.findall(r"^RUN (.*install\.sh python .*)$", text, re.MULTILINE)
    step = step.replace("/opt/orofacial", str(tmp_path / "opt"))
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "TORCH_INDEX_URL"}}
    environment["PYTHON"] = sys.executable
    try:
        done = subprocess.run(
            ["bash", "-ec", step], cwd=tmp_path / "src", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for parent in (tmp_path, *tmp_path.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o011)  # root's PostgreSQL runs as another user
        entrypoint = [tmp_path / "opt" / "bin" / "orofacial", "--data-folder", tmp_path / "data", "init"]
        done = subprocess.run(entrypoint, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(tmp_path / "opt", ignore_errors=True)  # 7 GB
