"""How benchmarks that measure many numbers print them."""

from __future__ import annotations

import json
from collections.abc import Mapping


def print_numbers(numbers: Mapping[str, float], as_json: bool) -> None:
    """Print one JSON object, or a line a number."""
    if as_json:
        print(json.dumps(numbers))
        return
    for name, value in numbers.items():
        print(f"{name:32s} {value:8.4f}")
