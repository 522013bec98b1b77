"""The services of docker/compose.yaml as plain processes: the same options, certificate, rules, commands, variables."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.mark.slow
def test_prepare_and_a_worker_find_the_database(
    debian_postgresql: Callable[..., int], run_python: Any, tmp_path: Path
) -> None:
    shutil.copy(DOCKER / "make-secrets.sh", tmp_path)
    subprocess.run([tmp_path / "make-secrets.sh"], check=True, capture_output=True)
    secrets = tmp_path / "secrets"
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", (DOCKER / "compose.yaml").read_text())
    compose = yaml.safe_load(text)
    services = compose["services"]
    # What the service's entrypoint does: give the key to the database's user.
    for name, mode in (("server.key", 0o600), ("server.pem", 0o644)):
        place = tmp_path / name
        place.write_bytes((secrets / name).read_bytes())
        place.chmod(0o640 if mode == 0o600 else mode)  # root's own key may be read by its group
    options = [
        option.replace("/var/run/postgresql", str(tmp_path)).replace("/etc/orofacial", str(DOCKER))
        for option in services["database"]["command"][1:]
        if not option.startswith("-chba_file")  # the rules stand where PostgreSQL looks for them without the option
    ]
    password = (secrets / "postgres.password").read_text()
    port = debian_postgresql(password, (DOCKER / "pg_hba.conf").read_text(), *options)

    def environment(service: str) -> dict[str, str]:
        """The service's variables, here; its secrets are files of the same name in the folder that is searched."""
        variables = {name: str(value) for name, value in services[service]["environment"].items()}
        del variables["DJ_STORES"]  # no object store runs here
        folder = tmp_path / service / ".secrets"
        folder.mkdir(parents=True)
        (folder.parent / "datajoint.json").write_text("{}")
        for secret in services[service]["secrets"]:
            if "/datajoint/database." in secret["target"] or "_password" in secret["source"]:
                file = compose["secrets"][secret["source"]]["file"]
                shutil.copy(tmp_path / file, folder / Path(secret["target"]).name)
        own = {"DJ_HOST": "127.0.0.1", "DJ_PORT": str(port), "OROFACIAL_DATA_FOLDER": str(tmp_path / "data")}
        return {**variables, **own, "OROFACIAL_DATABASE_CA": str(secrets / "server.pem")}

    prepare = environment("prepare")
    command = [str(word).replace("database:5432", f"127.0.0.1:{port}") for word in services["prepare"]["command"]]
    done = run_python("orofacial", tmp_path / "prepare", *command, **prepare)
    assert "orofacial_worker" in done.stdout and f"127.0.0.1:{port}" in done.stdout
    worker = environment("worker-cpu")
    assert "nothing to compute" in run_python("orofacial", tmp_path / "worker-cpu", "populate", **worker).stdout
    (tmp_path / "worker-cpu" / ".secrets" / "database.password").write_text("another")
    refused = run_python("orofacial", tmp_path / "worker-cpu", "populate", expect=1, **worker)
    assert "authentication failed" in refused.stderr
