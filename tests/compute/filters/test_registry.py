"""What a filter registers and how its parameters are checked: whatever a new filter forgets fails here."""

import inspect
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from compute.errors import FilterError
from compute.filters import apply_filter, check_parameters, default_parameters, registered_filters, registered_version
from compute.filters import registry as registry_module
from compute.filters.parameter_rules import rules_of_parameters
from compute.filters.registry import RegisteredFilter, read_registered_filters
from compute.tracks import Tracks


@pytest.fixture(params=list(registered_filters()))
def name(request):
    return request.param


def function_of(name):
    module = __import__(registered_filters()[name].module, fromlist=[name])
    return getattr(module, name)


def test_a_filter_is_a_function_of_tracks_and_keywords_with_defaults(name):
    tracks, *keywords = inspect.signature(function_of(name)).parameters.values()
    assert tracks.name == "tracks" and tracks.default is inspect.Parameter.empty
    for keyword in keywords:
        assert keyword.kind is inspect.Parameter.KEYWORD_ONLY and keyword.default is not inspect.Parameter.empty
    assert re.fullmatch("[a-z][a-z0-9_]{0,31}", name)


def test_what_a_filter_registers_can_be_used(name):
    one = registered_filters()[name]
    assert one.version >= 1 and one.lag in ("symmetric", "causal")
    assert all(re.fullmatch("#[0-9A-F]{6}", color) for color in one.colors.values())
    for changed in (*one.methods.values(), *one.candidates):
        check_parameters(name, changed)
    assert set(one.uses) <= set(registered_filters())


def test_no_two_filter_methods_have_one_name_or_one_color():
    methods = [method for one in registered_filters().values() for method in one.colors]
    colors = [color for one in registered_filters().values() for color in one.colors.values()]
    assert len(set(methods)) == len(methods) and len(set(colors)) == len(colors)


def test_the_docstring_says_what_every_parameter_is(name):
    function = function_of(name)
    text = inspect.getdoc(function)
    keywords = list(default_parameters(name))
    sections = ["Parameters", "Returns", *(["Raises"] if keywords else [])]
    for section in sections:
        assert f"\n{section}\n{'-' * len(section)}\n" in text, section
    described = text.split("Parameters\n")[1].split("\n\n")[0]
    named = {word for line in re.findall(r"^(\w[\w, ]*) : ", described, re.MULTILINE) for word in line.split(", ")}
    assert named == {"tracks", *keywords}
    assert inspect.getdoc(sys.modules[function.__module__])


def test_the_defaults_keep_their_own_rules_and_a_database_can_hold_them(name):
    defaults = default_parameters(name)
    check_parameters(name, defaults)
    assert json.loads(json.dumps(defaults, allow_nan=False)) == defaults
    assert set(rules_of_parameters(inspect.unwrap(function_of(name)))) == set(defaults)


def test_a_value_that_cannot_be_is_refused_by_filter_name_and_value(name):
    one_point = Tracks(np.zeros((1, 1, 2)), np.ones((1, 1)), [0.0], ["jaw_tip"])
    for parameter, (rule, may_be_none) in rules_of_parameters(inspect.unwrap(function_of(name))).items():
        refused = [math.nan, math.inf, -1, [1.0], "0.1", {"a": 1}, *([] if may_be_none else [None])]
        refused += [10**400]
        refused += [] if rule.expected == "true or false" else [True]
        for value in refused:
            for call in (check_parameters, lambda name, values: apply_filter(one_point, name, values)):
                with pytest.raises(FilterError) as error:
                    call(name, {parameter: value})
                assert name in str(error.value) and "expected" in str(error.value)
                if name != "per_node":  # an entry's node is named there
                    assert f"{parameter} is {value!r}, expected {rule.expected}" in str(error.value)


def test_ranges_are_open_where_they_must_be():
    for parameter, value in [("gate_probability", 0), ("gate_probability", 1), ("score_exponent", -0.1)]:
        with pytest.raises(FilterError, match=f"kalman: {parameter} is {value}, expected a number .* or none"):
            check_parameters("kalman", {parameter: value})
    check_parameters("kalman", {"gate_probability": None, "score_exponent": 0})


def test_a_causal_filter_knows_nothing_of_what_comes(name):
    if registered_filters()[name].lag == "symmetric":
        return
    x = np.random.default_rng(0).normal(0, 5, (80, 1, 2)).astype(np.float32)
    whole = Tracks(x, np.ones((80, 1)), np.arange(80) / 100, ["jaw_tip"])
    part = Tracks(x[:50], np.ones((50, 1)), whole.time[:50], ["jaw_tip"])
    np.testing.assert_array_equal(apply_filter(whole, name, {}).position[:50], apply_filter(part, name, {}).position)


def test_names_versions_and_colors_are_known_without_numba():
    script = """
import sys
import schemas.track, pipeline.cli.filter_commands
from compute.filters import registered_filters, registered_version
assert registered_filters() and registered_version("gaussian", {"gated": True})
print([name for name in ("numba", "scipy", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_parameters_are_known_without_the_slow_part_of_scipy():
    """A new lab checks its filter methods, and `doctor` all; SciPy's signal and statistics take a second to import."""
    script = """
import sys
from compute.filters import default_parameters, registered_filters
assert all(isinstance(default_parameters(name), dict) for name in registered_filters())
print([name for name in ("scipy.signal", "scipy.stats") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


NEW = '''
@register_filter(version=2, lag="causal", color="#123456", variants={"late_gated": ("#654321", {"gated": True})})
def late(tracks):
    """Late."""
'''


def test_a_new_filter_is_one_file(tmp_path):
    (tmp_path / "helper.py").write_text("def register_filter(): pass\n")
    (tmp_path / "new.py").write_text(NEW)
    found = read_registered_filters(tmp_path, "filters")
    variants = {"late_gated": ("#654321", {"gated": True})}
    assert found == {"late": RegisteredFilter("late", "filters.new", 2, "causal", "#123456", variants=variants)}
    assert found["late"].methods == {"late_gated": {"gated": True}}
    (tmp_path / "twice.py").write_text(NEW)
    with pytest.raises(FilterError, match=r"twice.py: filter late is already registered in filters.new"):
        read_registered_filters(tmp_path, "filters")


@pytest.mark.parametrize("wrong", ["version=1 + n", "version=1, lag='causal'", "version=1, lag='causal', colour='#1'"])
def test_a_registration_that_cannot_be_read_is_named(tmp_path, wrong):
    (tmp_path / "new.py").write_text(f"\n@register_filter({wrong})\ndef late(tracks): ...\n")
    with pytest.raises(FilterError, match=r"new.py, line 2: registration of filter late: "):
        read_registered_filters(tmp_path, "filters")


def test_the_version_of_a_method_counts_the_filters_that_it_uses(monkeypatch):
    newer = {name: {"kalman": 3, "median": 2}.get(name, 1) for name in registered_filters()}
    changed = {
        name: RegisteredFilter(**{**vars(one), "version": newer[name]}) for name, one in registered_filters().items()
    }
    monkeypatch.setattr(registry_module, "registered_filters", lambda: changed)
    assert registered_version("raw", {}) == 1 and registered_version("kalman", {}) == 3
    assert (
        registered_version("gaussian", {"gated": False}) == 1 and registered_version("gaussian", {"gated": True}) == 3
    )
    assert registered_version("per_node", {"filters": None}) == 3
    entry = {"filter": "median", "parameters": {"gated": True}}
    assert registered_version("per_node", {"filters": {"jaw_tip": entry}}) == 4
    assert registered_version("no_such", {"window_s": 1}) == 1
