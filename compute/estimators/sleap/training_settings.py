"""What a setting of a training may be, said where it is declared: ``epochs: int = training_setting(200, WHOLE)``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compute.errors import ModelError

_RULE = "training_setting_rule"


@dataclass(frozen=True)
class TrainingSettingRule:
    """What a setting may be.

    Parameters
    ----------
    expected : str
        In words, as an error says it.
    holds : callable
        Whether a number keeps the rule.
    whole : bool
        Whether it is a whole number.
    """

    expected: str
    holds: Callable[[float], bool]
    whole: bool = False


COUNT = TrainingSettingRule("a whole number from 1", lambda value: value >= 1, whole=True)
COUNT_OR_NONE = TrainingSettingRule("a whole number from 0", lambda value: value >= 0, whole=True)
STRIDE = TrainingSettingRule(
    "a power of two from 1 to 128", lambda value: 1 <= value <= 128 and math.log2(value).is_integer(), whole=True
)
POSITIVE = TrainingSettingRule("a number above 0", lambda value: value > 0)
SCORE = TrainingSettingRule("a number from 0 to 1, as scores are", lambda value: 0 <= value <= 1)
FRACTION = TrainingSettingRule("a number between 0 and 1", lambda value: 0 < value < 1)
FRACTION_OR_NONE = TrainingSettingRule("a number from 0 to below 1", lambda value: 0 <= value < 1)
ANGLE_DEG = TrainingSettingRule("a number of degrees from 0 to 180", lambda value: 0 <= value <= 180)
GROWTH = TrainingSettingRule("a number from 1 to 4", lambda value: 1 <= value <= 4)
SCALE = TrainingSettingRule("a number above 0, up to 4", lambda value: 0 < value <= 4)


def training_setting(default: Any, rule: TrainingSettingRule) -> Any:
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
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or (rule.whole and not isinstance(value, int)) or not rule.holds(value):
            raise ModelError(f"{one.name} is {value!r}, expected {rule.expected}")
