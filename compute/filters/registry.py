"""Filters register themselves: `register_filter` stands above a filter's function, in the filter's own module.

What stands in the parentheses of `register_filter` is read from the source text (`registered_filters`), so that names,
versions and colours are known without importing SciPy and Numba: a worker that waits and `orofacial --help` need none
of them. So its values are plain ones: numbers, strings, dicts.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from compute.errors import FilterError
from compute.filters.parameter_rules import check_parameter_values, check_rising_parameters, rules_of_parameters
from compute.frame_times import LONGEST_FRAME_INTERVAL_S
from compute.tracks import Tracks
from compute.tracks.frame_holes import spread_over_frame_holes
from compute.tracks.repeated_frames import repeated_frame_mask

SCORE_EXPONENT_ATTRIBUTE = "score_exponent"
"""Attribute of tracks under which a pipeline says what the model's labeled frames say of its scores."""

GATE = "kalman"
"""The filter whose wrong placements ``gated=True`` leaves out, see `compute.filters.gate`."""

Filter = TypeVar("Filter", bound=Callable[..., Tracks])


@dataclass(frozen=True)
class RegisteredFilter:
    """What a filter says of itself.

    Parameters
    ----------
    name, module : str
        Name of the function, and of the module that holds it.
    version : int
        Version of the algorithm, from 1. Raise it when the same parameters give another result: rows of
        `FilterMethod` pin it (see `registered_version`), and those of an older version make no new tracks.
    lag : {"symmetric", "causal"}
        Whether a position depends on points before and after it, or only on the past (what moves comes late).
    color : str
        Its colour in figures, such as ``"#0072B2"``.
    in_every_lab : bool
        Whether every database gets a row of `FilterMethod` of this name, with the default parameters. Else a lab adds
        rows itself (`orofacial filter add`), so that an update does not make it filter all its videos.
    variants : mapping
        More rows of every database: for each name its colour, and the parameters that are not the defaults.
    uses : tuple of str
        Other filters that it uses whatever its parameters are.
    rising : tuple of str
        Parameters of which none may be smaller than the one before it, such as the two ends of a band.
    candidates : tuple of mapping
        Parameters that `compute.comparison.filter_choice` tries when it chooses a filter for a node, on gated points.
    """

    name: str
    module: str
    version: int
    lag: Literal["symmetric", "causal"]
    color: str
    in_every_lab: bool = False
    variants: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    rising: tuple[str, ...] = ()
    candidates: tuple[Mapping[str, Any], ...] = ()

    @property
    def methods(self) -> dict[str, dict[str, Any]]:
        """Rows of `FilterMethod` in every database: their names, and the parameters that are not the defaults."""
        own: dict[str, dict[str, Any]] = {self.name: {}} if self.in_every_lab else {}
        return own | {method: dict(changed) for method, (_, changed) in self.variants.items()}

    @property
    def colors(self) -> dict[str, str]:
        """Colour of each row, and of the filter itself."""
        return {self.name: self.color} | {method: color for method, (color, _) in self.variants.items()}


def register_filter(
    *,
    version: int,
    lag: Literal["symmetric", "causal"],
    color: str,
    in_every_lab: bool = False,
    variants: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None,
    uses: tuple[str, ...] = (),
    rising: tuple[str, ...] = (),
    candidates: tuple[Mapping[str, Any], ...] = (),
) -> Callable[[Filter], Filter]:
    """Make a function ``name(tracks, *, parameter_with_unit=default)`` a filter, whose parameters are checked.

    Parameters
    ----------
    version, lag, color, in_every_lab, variants, uses, rising, candidates
        See `RegisteredFilter`. They are read from the source text: write plain values.
    """

    def wrap(function: Filter) -> Filter:
        @functools.wraps(function)
        def checked(tracks: Tracks, **parameters: Any) -> Tracks:
            check_parameter_values(function.__name__, function, parameters)
            check_rising_parameters(function.__name__, function, parameters, rising)
            if rules_of_parameters(function):
                _check_times(function.__name__, tracks)
            return _filter_across_holes(function, tracks, parameters)

        return checked  # type: ignore[return-value]

    return wrap


_LEAST_REACH_S, _REACH = 1.0, 8.0
"""A filter looks no further than 8 times the longest time that a parameter names, and no further than a second if that
is longer."""


def _filter_across_holes(function: Callable[..., Tracks], tracks: Tracks, parameters: Mapping[str, Any]) -> Tracks:
    """Filter each picture once and with the frames that are missing in time, and give back the frames that there are.

    A filter may count frames (a window of five), and may look for missing points to know where a gap is. Both are right
    only if no frame is missing. A frame that repeats a picture (a video at 30 Hz that was written at 60 Hz) says
    nothing new: counted as an observation of its own it would halve the variance. It gets what its picture gets.
    """
    values = _keyword_defaults(function) | dict(parameters)
    times_s = [value for name, value in values.items() if name.endswith("_s") and isinstance(value, int | float)]
    is_new = ~repeated_frame_mask(tracks)
    pictures = tracks if is_new.all() else _take_frames(tracks, np.flatnonzero(is_new), tracks.time[is_new])
    whole, index = spread_over_frame_holes(pictures, longest_s=max(_LEAST_REACH_S, _REACH * max(times_s, default=0)))
    result = function(whole, **parameters)
    if whole is tracks:
        return result
    return _take_frames(result, index[np.cumsum(is_new) - 1], tracks.time)


def _take_frames(tracks: Tracks, index: NDArray[np.int_], time: NDArray[np.float64]) -> Tracks:
    columns = {name: getattr(tracks, name)[index] for name in ("position", "score", *tracks.given)}
    return replace(tracks, time=time, **columns)


def _check_times(name: str, tracks: Tracks) -> None:
    """Refuse frames so far apart that no movement can be seen in them: times in another unit."""
    interval_s = tracks.frame_interval_s
    if interval_s > LONGEST_FRAME_INTERVAL_S:
        raise FilterError(
            f"{name}: the frames are {interval_s:g} s apart ({1 / interval_s:.3g} Hz), expected at most"
            f" {LONGEST_FRAME_INTERVAL_S:g} s: times are in seconds, and these look like milliseconds or frame numbers"
        )


@functools.cache
def registered_filters() -> Mapping[str, RegisteredFilter]:
    """Every filter by its name, in the order of the names."""
    return read_registered_filters(Path(__file__).parent, __package__)


def read_registered_filters(folder: Path, package: str) -> dict[str, RegisteredFilter]:
    """The filters in the modules of a folder, from their source text.

    Parameters
    ----------
    folder : Path
        Folder of a package.
    package : str
        Its dotted name.

    Raises
    ------
    FilterError
        If two filters have one name, or a registration is no plain value or misses one.
    """
    found: dict[str, RegisteredFilter] = {}
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "\n@register_filter(" not in source:
            continue
        module = ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        for name, call in _decorated(ast.parse(source)):
            try:
                said = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
                one = RegisteredFilter(name=name, module=module, **said)
            except (ValueError, TypeError) as error:
                raise FilterError(f"{path}, line {call.lineno}: registration of filter {name}: {error}") from error
            if name in found:
                raise FilterError(f"{path}: filter {name} is already registered in {found[name].module}")
            found[name] = one
    return dict(sorted(found.items()))


def _decorated(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    """Name of each function that `register_filter` decorates, and the call."""
    return [
        (statement.name, decorator)
        for statement in tree.body
        if isinstance(statement, ast.FunctionDef)
        for decorator in statement.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "register_filter"
    ]


def registered_filter(name: str) -> RegisteredFilter:
    """What a filter says of itself.

    Raises
    ------
    FilterError
        If there is no such filter.
    """
    if not isinstance(name, str) or name not in registered_filters():
        raise FilterError(f"no filter {name!r}; there are {', '.join(registered_filters())}")
    return registered_filters()[name]


def registered_version(name: str, parameters: Any) -> int:
    """Version of a filter with these parameters: 1, and 1 more for each newer version of what it uses.

    A filter uses itself, with ``gated=True`` the gate (the Kalman smoother), and the filters that its parameters name
    for nodes. No filter is imported.

    Parameters
    ----------
    name, parameters
        Such as a row of `FilterMethod` holds them. A filter that there is not (any more) counts as version 1, and
        parameters that are no mapping as none.
    """
    known = registered_filters()
    return 1 + sum(known[used].version - 1 for used in _used(name, parameters) if used in known)


def _used(name: str, parameters: Any) -> set[str]:
    used = {name, *(registered_filters()[name].uses if name in registered_filters() else ())}
    if not isinstance(parameters, Mapping):
        return used
    if parameters.get("gated"):
        used.add(GATE)
    for value in parameters.values():
        for entry in value.values() if isinstance(value, Mapping) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("parameters"), Mapping):
                used |= _used(str(entry.get("filter")), entry["parameters"])
    return used


def default_parameters(name: str) -> dict[str, Any]:
    """All parameters of a filter with their defaults, from the function's own signature.

    Raises
    ------
    FilterError
        If there is no such filter.
    """
    return _keyword_defaults(_function(name))


def _keyword_defaults(function: Callable[..., Tracks]) -> dict[str, Any]:
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def check_parameters(name: str, parameters: Any) -> None:
    """Refuse what a filter would refuse, without tracks.

    Raises
    ------
    FilterError
        If there is no such filter or parameter, a parameter is outside its range, or `parameters` is no mapping. Only
        whether a skeleton has the nodes that a parameter names is left to the filter.
    """
    known = default_parameters(name)
    if not isinstance(parameters, Mapping):
        raise FilterError(f"filter {name}: its parameters are {parameters!r}, expected names with their values")
    for parameter in parameters:
        if parameter not in known:
            raise FilterError(
                f"filter {name} has no parameter {parameter!r}; it has {', '.join(known) if known else 'none'}"
            )
    function = inspect.unwrap(_function(name))
    check_parameter_values(name, function, parameters)
    check_rising_parameters(name, function, parameters, registered_filter(name).rising)


def apply_filter(tracks: Tracks, name: str, parameters: Mapping[str, Any]) -> Tracks:
    """Filter tracks by the name of the filter.

    Parameters
    ----------
    tracks : Tracks
        What is filtered. Their attribute ``score_exponent``, where there is one, is that of a filter and of a gate to
        which the parameters give none.
    name : str
        One of `registered_filters`.
    parameters : mapping
        The filter's keywords; those not named keep their defaults.

    Raises
    ------
    FilterError
        If there is no such filter or parameter, or a parameter is outside its range.
    """
    check_parameters(name, parameters)
    known_exponent = tracks.attributes.get(SCORE_EXPONENT_ATTRIBUTE)
    if (
        "score_exponent" in default_parameters(name)
        and parameters.get("score_exponent") is None
        and known_exponent is not None
    ):
        parameters = {**parameters, "score_exponent": known_exponent}
    return _function(name)(tracks, **parameters)


def _function(name: str) -> Callable[..., Tracks]:
    function: Callable[..., Tracks] = getattr(importlib.import_module(registered_filter(name).module), name)
    return function
