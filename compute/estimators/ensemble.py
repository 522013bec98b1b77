"""Several models of one camera as one: in each frame the median of where they found a node.

Networks that were trained on the same frames with other seeds are wrong in other places, so that their median is nearer
to the truth than each of them. Where they disagree, nobody knows where the node is: how far apart they are is kept as
the `spread` of the tracks, and their `lasting_spread` says where they disagree for a while, more than they usually do
(`compute.tracks.disputed_points`).

No network runs here: the members' tracks of a video are handed in.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from compute.errors import ModelError
from compute.estimators.bundle_info import BundleInfo
from compute.estimators.estimator import EstimatorKind, Progress
from compute.estimators.evaluation_results import EvaluationResult
from compute.files import whole_file
from compute.json_text import json_text
from compute.tracks import Tracks
from compute.tracks.disputed_points import lasting_spread, median_of_known

DESCRIPTION = "ensemble.json"

_FEWEST_MEMBERS = 2
_IDENTITY = ("members", "nodes", "edges", "minimum_score", "width_px", "height_px")
"""What the description holds; its hash is the model's id."""

_FRAMES_AT_ONCE = 1 << 16
"""The members' arrays are put together in parts of so many frames, so that memory does not grow with their number."""


class EnsembleKind(EstimatorKind):
    """Models that are combined by their median."""

    name = "ensemble"
    summary = "the median of several models of one camera"
    bundle_hint = f"an {DESCRIPTION} that names models, as 'orofacial model ensemble' makes it"
    device = "cpu"
    memory_gb = 2.0
    minimum_score = 0.0
    combines_models = True

    def recognises(self, path: Path) -> bool:
        """Whether it is a description of an ensemble, or a folder that holds one."""
        return (path.is_file() and path.name == DESCRIPTION) or (path / DESCRIPTION).is_file()

    def import_bundle(
        self, source: Path, bundle_folder: Path, *, minimum_score: float | None = None, name: str = ""
    ) -> BundleInfo:
        """Take a description of an ensemble whose members are known here under the same ids."""
        info = _read(source if source.is_file() else source / DESCRIPTION)
        return _write(info, self.minimum_score if minimum_score is None else minimum_score, bundle_folder)

    def combine(self, members: Mapping[str, BundleInfo], bundle_folder: Path) -> BundleInfo:
        """Describe an ensemble of models that have the same nodes, in any order, and frames of the same size."""
        if len(members) < _FEWEST_MEMBERS:
            raise ModelError(
                f"an ensemble of {len(members)} model ({', '.join(members) or 'none'}): expected {_FEWEST_MEMBERS} or"
                " more, each named once"
            )
        first_id, first = min(members.items())
        for model_id, info in sorted(members.items()):
            if info.members:
                raise ModelError(f"model {model_id} is an ensemble itself; name its members: {', '.join(info.members)}")
            if set(info.nodes) != set(first.nodes):
                raise ModelError(
                    f"model {model_id} has the nodes {', '.join(info.nodes)}, model {first_id} has"
                    f" {', '.join(first.nodes)}; models of an ensemble find the same nodes"
                )
        sizes = {(one.width_px, one.height_px) for one in members.values() if one.width_px is not None}
        if len(sizes) > 1:
            found = ", ".join(f"{width_px} x {height_px}" for width_px, height_px in sorted(sizes))
            raise ModelError(
                f"the models {', '.join(sorted(members))} were trained on frames of {found} px; no video has the size"
                " of all of them, so they cannot be one ensemble"
            )
        width_px, height_px = next(iter(sizes), (None, None))
        info = BundleInfo(
            nodes=first.nodes,
            edges=first.edges,
            minimum_score=self.minimum_score,
            width_px=width_px,
            height_px=height_px,
            members=tuple(sorted(members)),
        )
        return _write(info, self.minimum_score, bundle_folder)

    def read_bundle(self, folder: Path) -> BundleInfo:
        """Read the description."""
        return _read(folder / DESCRIPTION)

    def load(self, folder: Path) -> EnsembleEstimator:
        """Nothing is loaded but the description."""
        return EnsembleEstimator(self.read_bundle(folder))


class EnsembleEstimator:
    """Puts the tracks of its members together.

    Parameters
    ----------
    bundle : BundleInfo
        Names the members and the nodes.
    """

    device = "cpu"

    def __init__(self, bundle: BundleInfo) -> None:
        self.bundle = bundle

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return self.bundle.nodes

    def estimate(
        self,
        video_path: str | Path,
        *,
        time: ArrayLike | None = None,
        minimum_score: float | None = None,
        input_file: str | Path | None = None,
        members: Sequence[Tracks] = (),
        progress: Progress | None = None,
    ) -> Tracks:
        """The median of the members' tracks of a video, see `median_tracks`.

        Parameters
        ----------
        video_path : str or Path
            The video, for messages: it is not read.
        time : array, shape (frame,), optional
            Time of each frame in seconds; without it, the members'.
        minimum_score : float, optional
            A node with a lower median score is not found. Without it, the bundle's own.
        input_file : None
            The members' tracks are all that is read.
        members : sequence of Tracks
            Of each member in the bundle's order.
        progress : callable, optional
            Called with the frames done and their total.

        Raises
        ------
        ModelError
            If there are not as many tracks as members, or they differ in their number of frames or in their nodes.
        """
        ids = self.bundle.members
        if len(members) != len(ids):
            raise ModelError(
                f"{video_path}: tracks of {len(members)} models were given, the ensemble has {len(ids)} members:"
                f" {', '.join(ids)}"
            )
        for model_id, one in zip(ids, members, strict=True):
            if set(one.nodes) != set(self.nodes) or one.n_frames != members[0].n_frames:
                raise ModelError(
                    f"{video_path}: model {model_id} has tracks of {one.n_frames} frames with {', '.join(one.nodes)},"
                    f" expected {members[0].n_frames} frames with {', '.join(self.nodes)}. Delete that model's tracks,"
                    " so that they are computed anew"
                )
        tracks = median_tracks([one.select(self.nodes) for one in members], progress=progress)
        score_limit = self.bundle.minimum_score if minimum_score is None else minimum_score
        lost = ~tracks.found | (tracks.score < score_limit)
        return Tracks(
            position=np.where(lost[..., None], np.nan, tracks.position),
            score=np.where(lost, 0, tracks.score),
            time=tracks.time if time is None else np.asarray(time, np.float64),
            nodes=tracks.nodes,
            spread=tracks.spread,
            lasting_spread=tracks.lasting_spread,
            attributes={"estimator": ESTIMATOR.name, "members": list(ids), "minimum_score": score_limit},
        )

    def evaluate(
        self, labels_path: str | Path, *, frames: Sequence[int] | None = None, minimum_score: float | None = None
    ) -> EvaluationResult:
        """Not possible: its members are shown no single images here."""
        raise ModelError(
            f"{labels_path}: an ensemble is made from its members' tracks of videos, so its error on labeled images"
            " cannot be measured; that of its members can"
        )


def median_tracks(members: Sequence[Tracks], *, progress: Progress | None = None) -> Tracks:
    """The median of several tracks of one video, node by node and frame by frame.

    Parameters
    ----------
    members : sequence of Tracks
        Two or more, of the same frames and nodes.
    progress : callable, optional
        Called with the frames done and their total.

    Returns
    -------
    Tracks
        x, y and score are each the median of those members that found the node; where fewer than half of them did, it
        is not found. ``spread`` is the distance (px) between two members, the median over all pairs of those that found
        the node: one member of five that is wrong does not change it, three that are wrong do. ``lasting_spread`` is as
        `compute.tracks.disputed_points.lasting_spread` says.

    Examples
    --------
    >>> seeds = [Tracks([[[x, 0.0]]], [[0.9]], [0.0], ["jaw_tip"]) for x in (10.0, 11.0, 50.0)]
    >>> median = median_tracks(seeds)
    >>> median.position[0, 0].tolist(), median.spread[0, 0].item()
    ([11.0, 0.0], 39.0)
    """
    first = members[0]
    n_frames, n_nodes = first.score.shape
    position = np.empty((n_frames, n_nodes, 2), np.float32)
    score, spread = np.empty((n_frames, n_nodes), np.float32), np.empty((n_frames, n_nodes), np.float32)
    for part in _parts(n_frames):
        points = np.stack([one.position[part] for one in members])
        found = ~np.isnan(points[..., 0])
        scores = np.where(found, np.stack([one.score[part] for one in members]), np.nan)
        missing = 2 * found.sum(axis=0) < len(members)
        position[part] = np.where(missing[..., None], np.nan, median_of_known(points))
        score[part] = np.where(missing, 0, median_of_known(scores))
        pairs = itertools.combinations(points, 2)
        distances_px = np.stack([np.hypot(*np.moveaxis(one - other, -1, 0)) for one, other in pairs])
        spread[part] = median_of_known(distances_px)
        if progress:
            progress(part.stop, n_frames)
    return Tracks(position, score, first.time, first.nodes, spread=spread, lasting_spread=lasting_spread(members))


def _parts(n_frames: int) -> Iterator[slice]:
    for start in range(0, n_frames, _FRAMES_AT_ONCE):
        yield slice(start, min(start + _FRAMES_AT_ONCE, n_frames))


def _write(info: BundleInfo, minimum_score: float, bundle_folder: Path) -> BundleInfo:
    if bundle_folder.exists():
        raise ModelError(f"{bundle_folder} exists already; models are never overwritten, choose another folder")
    bundle_folder.mkdir(parents=True)
    with whole_file(bundle_folder / DESCRIPTION, ModelError) as temporary:
        content = {name: getattr(info, name) for name in _IDENTITY} | {"minimum_score": minimum_score}
        temporary.write_text(json_text(content, indent=1, sort_keys=True, ascii_only=True) + "\n", encoding="utf-8")
    return _read(bundle_folder / DESCRIPTION)


def _read(path: Path) -> BundleInfo:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content |= {name: tuple(content[name]) for name in ("members", "nodes")}
        content["edges"] = tuple((source, target) for source, target in content["edges"])
        info = BundleInfo(**content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read ({error}); make the ensemble again") from error
    if len(set(info.members)) < _FEWEST_MEMBERS or len(set(info.members)) < len(info.members):
        raise ModelError(
            f"{path} names the members {', '.join(info.members) or 'none'}; expected {_FEWEST_MEMBERS} or more, each"
            " once"
        )
    return info


ESTIMATOR = EnsembleKind()
