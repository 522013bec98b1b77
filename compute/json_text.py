"""JSON as everything of this project writes it: what JSON cannot hold is null or text, so that any program reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False, ascii_only: bool = False) -> str:
    """A value as JSON; the only place of this project that writes any.

    Parameters
    ----------
    value
        Anything that `json_value` takes.
    indent : int, optional
        Spaces a level; without it, one line.
    sort_keys : bool
        Keys in alphabetical order.
    ascii_only : bool
        Letters that are not ASCII as escapes.

    Examples
    --------
    >>> json_text({"rate_hz": float("-inf"), "mouse": "größe"})
    '{"rate_hz": null, "mouse": "größe"}'
    """
    return json.dumps(json_value(value), indent=indent, sort_keys=sort_keys, ensure_ascii=ascii_only, allow_nan=False)


def json_value(value: Any) -> Any:
    """The value as JSON can hold it.

    NaN and infinity are None, as JSON has no name for them; dates are text in ISO 8601, paths and fractions are text;
    arrays and tuples are lists, a dataclass is a dict.

    Examples
    --------
    >>> json_value({"sd_px": np.array([1.5, np.nan]), 3: Fraction(30000, 1001)})
    {'sd_px': [1.5, None], '3': '30000/1001'}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return json_value(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [json_value(item) for item in value]
    if isinstance(value, np.generic):
        return json_value(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (PurePath, Fraction)):
        return str(value)
    return value
