"""Which estimators there are: the modules of `compute.estimators` that offer an ``ESTIMATOR``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path

from compute.errors import ModelError
from compute.estimators.estimator import EstimatorKind

_PACKAGE = "compute.estimators"


@functools.cache
def registered_estimators() -> dict[str, EstimatorKind]:
    """Every estimator by its name, also those whose libraries are not installed here.

    Examples
    --------
    >>> registered_estimators()["deeplabcut"].reads_input_file
    True
    """
    package = importlib.import_module(_PACKAGE)
    modules = [importlib.import_module(f"{_PACKAGE}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    kinds = [module.ESTIMATOR for module in modules if hasattr(module, "ESTIMATOR")]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: str(kind.name))}


def registered_estimator(name: str) -> EstimatorKind:
    """The estimator of this name, such as ``sleap``.

    Raises
    ------
    ModelError
        If there is no such estimator.
    """
    if name not in registered_estimators():
        raise ModelError(f"no estimator {name!r}; there are {', '.join(registered_estimators())}")
    return registered_estimators()[name]


def recognised_estimator(path: Path) -> EstimatorKind:
    """The estimator whose model a file or folder is.

    Raises
    ------
    ModelError
        If nothing is there, or it looks like no estimator's model, or like those of several.
    """
    if not path.exists():
        raise ModelError(f"{path} does not exist; give the file or folder of a model")
    kinds = [kind for kind in registered_estimators().values() if kind.recognises(path)]
    if len(kinds) == 1:
        return kinds[0]
    expected = "; ".join(f"{kind.name}: {kind.bundle_hint}" for kind in kinds or registered_estimators().values())
    said = "fits several estimators" if kinds else "is no model of an estimator that is known here"
    raise ModelError(f"{path} {said}; expected one of {expected}")


def estimator_that_trains(name: str | None = None) -> EstimatorKind:
    """The estimator to train with: the one of this name, or without a name the only one that can train.

    Raises
    ------
    ModelError
        If it cannot train, or no name is given and there are several.
    """
    able = [kind for kind in registered_estimators().values() if kind.can_train]
    kinds = able if name is None else [kind for kind in able if kind is registered_estimator(name)]
    if len(kinds) != 1:
        found = f"estimator {name} cannot train" if name else "the estimator to train with is not named"
        raise ModelError(f"{found}; those that can are {', '.join(kind.name for kind in able)}: name one (--estimator)")
    return kinds[0]


def combining_estimator() -> EstimatorKind:
    """The estimator whose models are made from others, see `EstimatorKind.combines_models`."""
    return next(kind for kind in registered_estimators().values() if kind.combines_models)


def estimators_not_installed() -> dict[str, str]:
    """Estimators that cannot run here, each with the sentence that says what to install."""
    return {name: missing for name, kind in registered_estimators().items() if (missing := kind.missing()) is not None}


def check_estimator_installed(name: str) -> None:
    """Check that an estimator can run here.

    Raises
    ------
    NotInstalledError
        If a package is missing; the message says what to install.
    """
    registered_estimator(name).check_installed()
