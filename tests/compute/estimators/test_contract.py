"""Every estimator keeps the contract of `compute.estimators.estimator`, and the registry finds each by its name.

An estimator's own test, ``test_<name>.py`` in this folder, offers ``make_sample(folder)``: it writes a file or folder
that the estimator recognises as a model of its own, and returns its path.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import compute.estimators
from compute import estimators
from compute.errors import ModelError, NotInstalledError
from compute.estimators import BundleInfo, EstimatorKind
from compute.estimators.registry import registered_estimators

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KINDS = registered_estimators()
TEXTS = ("name", "summary", "bundle_hint")
OWN_METHODS = ("recognises", "import_bundle", "read_bundle", "load")


def make_sample(name: str, folder: Path) -> Path:
    """What the estimator's own test writes."""
    test = HERE / f"test_{name}.py"
    assert test.exists(), f"estimator {name} has no test: write {test.name} with make_sample(folder)"
    specification = importlib.util.spec_from_file_location(f"sample_of_{name}", test)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    folder.mkdir()
    path: Path = module.make_sample(folder)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_an_estimator_states_what_the_contract_asks_for(name: str) -> None:
    kind = KINDS[name]
    assert isinstance(kind, EstimatorKind) and estimators.registered_estimator(name) is kind
    assert type(kind).__module__.split(".")[:3] == ["compute", "estimators", name]
    for text in TEXTS:
        assert isinstance(getattr(kind, text), str) and getattr(kind, text), text
    assert kind.device in ("gpu", "cpu") and kind.memory_gb > 0 and kind.minimum_score >= 0
    for names in (kind.modules, kind.packages):
        assert isinstance(names, tuple) and all(isinstance(one, str) for one in names)
    for flag in (kind.can_train, kind.can_estimate_images, kind.reads_input_file, kind.combines_models):
        assert isinstance(flag, bool)


@pytest.mark.parametrize("name", KINDS)
def test_an_estimator_explains_itself_and_offers_what_it_states(name: str) -> None:
    kind = type(KINDS[name])
    assert inspect.getdoc(inspect.getmodule(kind)) and kind.__doc__
    for method in OWN_METHODS:
        assert vars(kind)[method].__doc__, method
    for method, stated in (
        ("train", kind.can_train),
        ("training_parameters", kind.can_train),
        ("input_file", kind.reads_input_file),
        ("combine", kind.combines_models),
    ):
        assert (method in vars(kind)) == stated, method
        if stated:
            assert vars(kind)[method].__doc__, method


@pytest.mark.parametrize("name", KINDS)
def test_an_estimator_recognises_its_own_models_and_no_other(name: str, tmp_path: Path) -> None:
    foreign = [tmp_path / "missing", tmp_path / "empty", tmp_path / "notes.csv", tmp_path / "notes.h5"]
    foreign[1].mkdir()
    foreign[2].write_text("mouse,weight\nmouse01,21\n")
    foreign[3].write_bytes(b"no HDF5")
    samples = {other: make_sample(other, tmp_path / other) for other in KINDS}
    assert {other: KINDS[name].recognises(sample) for other, sample in samples.items()} == {
        other: other == name for other in KINDS
    }
    assert not any(KINDS[name].recognises(path) for path in foreign)
    assert estimators.recognised_estimator(samples[name]) is KINDS[name]


def test_what_no_estimator_knows_is_refused_with_what_each_expects(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("mouse,weight\n")
    with pytest.raises(ModelError, match=r"notes\.csv is no model of an estimator that is known here") as refused:
        estimators.recognised_estimator(tmp_path / "notes.csv")
    assert all(f"{name}: {kind.bundle_hint}" in str(refused.value) for name, kind in KINDS.items())
    with pytest.raises(ModelError, match=r"nothing does not exist"):
        estimators.recognised_estimator(tmp_path / "nothing")
    with pytest.raises(ModelError, match=f"no estimator 'nothing'; there are {', '.join(KINDS)}"):
        estimators.registered_estimator("nothing")


def test_what_an_estimator_does_not_know_is_none() -> None:
    info = BundleInfo(nodes=("snout",), edges=(), minimum_score=0.0)
    unknown = ("width_px", "height_px", "n_channels", "n_training_frames", "training_frames", "training_mice")
    assert [getattr(info, name) for name in unknown] == [None] * 6


def test_an_estimator_that_cannot_train_says_so(tmp_path: Path) -> None:
    cannot = [kind for kind in KINDS.values() if not kind.can_train]
    assert cannot
    for kind in cannot:
        for train in (
            lambda kind=kind: kind.training_parameters({}),
            lambda kind=kind: kind.train(tmp_path, {}, seed=0, bundle_folder=tmp_path / "new"),
            lambda kind=kind: estimators.estimator_that_trains(kind.name),
        ):
            with pytest.raises(ModelError, match=f"estimator {kind.name} cannot train"):
                train()
    assert estimators.estimator_that_trains().can_train


STRANGER = '''"""A stranger's estimator."""

from compute.estimators.estimator import EstimatorKind


class Stranger(EstimatorKind):
    """Needs a module that nobody has."""

    name = "of_a_stranger"
    summary = bundle_hint = "a stranger's"
    device = "cpu"
    memory_gb = 1.0
    minimum_score = 0.5
    modules = ("numpy", "nobody_has_this")
    can_train = True

    def recognises(self, path):
        """Whether it has a name of mine."""
        return path.name == "mine"

    def import_bundle(self, source, bundle_folder, *, minimum_score=None, name=""):
        """Do nothing."""

    def read_bundle(self, folder):
        """Do nothing."""

    def load(self, folder):
        """Check."""
        self.check_installed()


ESTIMATOR = Stranger()
'''


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One more module in `compute.estimators`."""
    (tmp_path / "of_a_stranger.py").write_text(STRANGER)
    monkeypatch.setattr(compute.estimators, "__path__", [*compute.estimators.__path__, str(tmp_path)])
    registered_estimators.cache_clear()
    yield "of_a_stranger"
    sys.modules.pop("compute.estimators.of_a_stranger", None)
    registered_estimators.cache_clear()


def test_one_more_file_is_one_more_estimator(stranger: str, tmp_path: Path) -> None:
    assert list(registered_estimators()) == sorted([*KINDS, stranger])
    kind = estimators.registered_estimator(stranger)
    assert kind.name == stranger
    (tmp_path / "mine").touch()
    assert estimators.recognised_estimator(tmp_path / "mine") is kind
    able = ", ".join(name for name, one in registered_estimators().items() if one.can_train)
    with pytest.raises(ModelError, match=f"not named; those that can are {able}: name one"):
        estimators.estimator_that_trains()
    assert estimators.estimator_that_trains(stranger) is kind


def test_what_is_not_installed_is_said_with_what_to_install(stranger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = estimators.registered_estimator(stranger)
    said = "estimator of_a_stranger is not installed here (nobody_has_this): pip install nobody_has_this"
    assert kind.missing() == said and estimators.estimators_not_installed()[stranger] == said
    monkeypatch.setattr(type(kind), "extra", "strange")
    assert str(kind.missing()).endswith("pip install 'orofacial[strange]'")
    with pytest.raises(NotInstalledError, match=r"pip install 'orofacial\[strange\]'"):
        kind.load(Path())
    with pytest.raises(NotInstalledError):
        estimators.check_estimator_installed(stranger)


def test_no_estimator_is_named_outside_its_own_module() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for layer in ("schemas", "ingest", "pipeline", "orofacial")
        for path in (ROOT / layer).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Constant) and node.value in KINDS)
        or (isinstance(node, ast.ImportFrom) and str(node.module).startswith("compute.estimators."))
    ]
    assert named == []


def test_asking_the_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys; from compute import estimators; estimators.registered_estimators();"
        " estimators.estimators_not_installed();"
        "print([name for name in ('torch', 'sleap_nn', 'pandas', 'numba', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
