"""What a setting of a training may be, said where it is declared: ``epochs: int = training_setting(200, WHOLE)``."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from compute.errors import ModelError
from compute.value_rules import ValueRule, number_rule, whole_number_rule

_RULE = "training_setting_rule"


COUNT = whole_number_rule("a whole number from 1", lambda value: value >= 1)
COUNT_OR_NONE = whole_number_rule("a whole number from 0", lambda value: value >= 0)
STRIDE = whole_number_rule(
    "a power of two from 1 to 128", lambda value: 1 <= value <= 128 and math.log2(value).is_integer()
)
POSITIVE = number_rule("a number above 0", lambda value: value > 0)
SCORE = number_rule("a number from 0 to 1, as scores are", lambda value: 0 <= value <= 1)
FRACTION = number_rule("a number between 0 and 1", lambda value: 0 < value < 1)
FRACTION_OR_NONE = number_rule("a number from 0 to below 1", lambda value: 0 <= value < 1)
ANGLE_DEG = number_rule("a number of degrees from 0 to 180", lambda value: 0 <= value <= 180)
GROWTH = number_rule("a number from 1 to 4", lambda value: 1 <= value <= 4)
SCALE = number_rule("a number above 0, up to 4", lambda value: 0 < value <= 4)


def training_setting(default: Any, rule: ValueRule) -> Any:
    """A field of a dataclass of settings, with its default and what it may be."""
    return dataclasses.field(default=default, metadata={_RULE: rule})


def check_training_settings(settings: Any) -> None:
    """Refuse settings that break their rules.

    Parameters
    ----------
    settings : dataclass
        Its fields are declared with `training_setting`.

    Raises
    ------
    ModelError
        With the setting, its value, and what is expected.
    """
    for one in dataclasses.fields(settings):
        rule, value = one.metadata[_RULE], getattr(settings, one.name)
        if not rule.holds(value):
            raise ModelError(f"{one.name} is {value!r}, expected {rule.expected}")
