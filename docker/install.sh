#!/usr/bin/env bash
# The install steps of the images, so that they can be run (and are tested) without Docker too.
#
#   install.sh system            libraries of the system (Debian), as root
#   install.sh python FOLDER [EXTRAS]
#                                a virtual environment in FOLDER with this project and what it needs; EXTRAS: formats or sleap
#
# TORCH_INDEX_URL names an index with builds of torch for another device: https://download.pytorch.org/whl/cpu has those
# without CUDA, a tenth of the size. Unset, torch comes from PyPI with its own CUDA libraries.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

install_system() {
    apt-get update -qq
    # OpenCV, which the extra sleap brings, needs these two.
    apt-get install -y --no-install-recommends libgl1 libglib2.0-0
    rm -rf /var/lib/apt/lists/*
}

install_python() {
    local folder=$1 extras=${2:-}
    "${PYTHON:-python3}" -m venv "$folder"
    local arguments=(--quiet --disable-pip-version-check --constraint "$project/constraints.txt")
    if [ -n "${TORCH_INDEX_URL:-}" ]; then
        arguments+=(--extra-index-url "$TORCH_INDEX_URL")
    fi
    "$folder/bin/pip" install "${arguments[@]}" "$project${extras:+[$extras]}"
    "$folder/bin/orofacial" --version
}

case "${1:-}" in
    system) install_system ;;
    python) install_python "${2:?give the folder of the virtual environment}" "${3:-}" ;;
    *)
        echo "usage: install.sh system | install.sh python FOLDER [EXTRAS]" >&2
        exit 2
        ;;
esac
