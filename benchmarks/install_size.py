"""What an installation takes: a fresh environment with this project in it, and nothing else.

    python benchmarks/install_size.py [--json] [--extra sleap] [--constraint FILE] [--folder FOLDER] [--at-most MB]

It runs `pip install .`, as a user types it, in an environment of its own, with the Python that runs this.

size_mb      all files of the environment (1 MB = 10^6 bytes), pip itself included
compiled_mb  the part that pip compiled (.pyc), which `pip install --no-compile` leaves out until a module is imported
install_s    seconds that pip took; what it had downloaded before comes from its cache
packages_mb  the ten largest packages
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
N_LARGEST = 10
SIZES = """
import importlib.metadata, json, os
sizes = {}
for package in importlib.metadata.distributions():
    paths = {package.locate_file(file) for file in package.files or ()}
    sizes[package.name] = sum(os.path.getsize(path) for path in paths if os.path.exists(path)) / 1e6
print(json.dumps(sizes))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object, as the last line")
    parser.add_argument("--extra", action="append", default=[], help="an extra of this project, such as sleap")
    parser.add_argument("--folder", type=Path, help="make the environment here, and keep it; it must not be there yet")
    parser.add_argument("--constraint", type=Path, help="constraints.txt: the tested versions instead of the newest")
    parser.add_argument("--at-most", type=float, metavar="MB", help="fail if it is larger")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orofacial-") as temporary:
        folder = arguments.folder or Path(temporary) / "environment"
        result = measure(folder, arguments.extra, arguments.constraint)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['size_mb']:.0f} MB, {result['compiled_mb']:.0f} of them compiled, in {result['install_s']:.0f} s"
        )
        print("the largest packages (MB):")
        for name, size_mb in result["packages_mb"].items():
            print(f"{size_mb:6.0f}  {name}")
    if arguments.at_most is not None and result["size_mb"] > arguments.at_most:
        sys.exit(f"{result['size_mb']:.0f} MB are more than the {arguments.at_most:.0f} MB that were allowed")


def measure(folder: Path, extras: list[str], constraint: Path | None) -> dict[str, Any]:
    """Install into a new environment and say what it takes."""
    if folder.exists():
        sys.exit(f"{folder} is there already; the environment has to be new")
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools packs what an earlier build left there
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    what = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", constraint] if constraint else []
    started = time.perf_counter()
    subprocess.run([*command, what], check=True, stdout=sys.stderr)
    install_s = time.perf_counter() - started
    sizes = json.loads(subprocess.run([python, "-c", SIZES], check=True, capture_output=True, text=True).stdout)
    largest = sorted(sizes, key=lambda name: -sizes[name])[:N_LARGEST]
    return {
        "size_mb": round(size_mb(folder, "*"), 1),
        "compiled_mb": round(size_mb(folder, "*.pyc"), 1),
        "install_s": round(install_s, 1),
        "extras": extras,
        "packages_mb": {name: round(sizes[name], 1) for name in largest},
    }


def size_mb(folder: Path, pattern: str) -> float:
    """Size (MB) of the files of such names below a folder; links to the system's Python are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob(pattern) if not path.is_dir()) / 1e6


if __name__ == "__main__":
    main()
