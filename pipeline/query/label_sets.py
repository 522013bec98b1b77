"""Sets of labeled frames: found by id or name, and described with what was made of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from compute.errors import LabelsError
from compute.text import session_text
from schemas.evaluation import LabeledVideo, ModelEvaluation
from schemas.labels import LabeledFrames, Skeleton
from schemas.model import Training, TrainingTask

Row = dict[str, Any]


def find_label_set(labels: str) -> str:
    """Id of a set of labels, found by its id or name.

    Raises
    ------
    LabelsError
        If none or several fit; the message lists them.
    """
    rows = (LabeledFrames.proj("labels_name") & [{"labels_id": labels}, {"labels_name": labels}]).to_dicts()
    if len(rows) > 1:
        raise LabelsError(f"several labels are named {labels!r}: {', '.join(r['labels_id'] for r in rows)}; give an id")
    if not rows:
        known = [f"{row['labels_id']} ({row['labels_name']})" for row in LabeledFrames.proj("labels_name").to_dicts()]
        raise LabelsError(f"no labels {labels!r}; known are {', '.join(known) or 'none'}. See 'orofacial labels list'")
    return str(rows[0]["labels_id"])


def describe_label_sets() -> list[Row]:
    """Every set of labeled frames: its mice, and how many of its frames belong to ingested videos.

    ``mice`` are those of known name, ``n_frames_without_mouse`` the frames of which none is known. ``n_named_frames``
    is how many name an ingested video by their path, ``n_matched_frames`` of how many the image is that video's frame.
    Videos that workers have not compared yet do not count; ``n_waiting_videos`` is how many there are.
    """
    names = ("labels_name", "camera", "n_labeled_frames", "imported_at")
    rows: list[Row] = LabeledFrames.proj(*names).to_dicts(order_by="imported_at, labels_id")
    for row in rows:
        key = {"labels_id": row["labels_id"]}
        mice = list((LabeledFrames.Source & key).to_arrays("mouse_id"))
        row["mice"] = sorted({str(mouse) for mouse in mice if mouse is not None})
        row["n_frames_without_mouse"] = sum(mouse is None for mouse in mice)
        row |= _count_matches(key)
    return rows


def _count_matches(key: Row) -> Row:
    videos = LabeledVideo & key
    counts = {name: int(sum(videos.to_arrays(name))) for name in ("n_named_frames", "n_matched_frames")}
    return counts | {"n_waiting_videos": len((LabeledVideo().key_source & key) - videos.proj())}


def describe_label_set(labels: str) -> Row:
    """One set of labeled frames, by its id or name, with what was made of it.

    ``n_frames_of_mice`` and ``n_frames_of_sessions`` count frames; ``not known`` is among their names.
    ``trained_models``, ``waiting_trainings`` (configuration and seed) and ``evaluated_models`` hang on it. ``package``
    is where its images and points are, in the labels store.

    Raises
    ------
    LabelsError
        As `find_label_set`.
    """
    key = {"labels_id": find_label_set(labels)}
    row: Row = (LabeledFrames & key).fetch1()
    sources = (LabeledFrames.Source & key).to_dicts(order_by="labeled_frame_index")
    trained = (Training & key).proj("model_id").to_dicts()
    waiting = (TrainingTask & key).proj() - Training.proj()
    skeleton = Skeleton & {"skeleton_id": row["skeleton_id"]}
    return {
        **row,
        **_count_matches(key),
        "package": str(getattr(row["package"], "path", row["package"])),
        "nodes": [str(node) for node in skeleton.nodes()],
        "n_frames_of_mice": dict(Counter(source["mouse_id"] or "not known" for source in sources)),
        "n_frames_of_sessions": dict(Counter(map(_session_text, sources))),
        "trained_models": sorted({one["model_id"] for one in trained}),
        "waiting_trainings": [f"{one['training_config']} seed {one['seed']}" for one in waiting.to_dicts()],
        "evaluated_models": sorted(set((ModelEvaluation & key).to_arrays("model_id"))),
    }


def _session_text(source: Row) -> str:
    if source["source_date"] is None:
        return "not known"
    key = {"mouse_id": source["mouse_id"], "session_date": source["source_date"]}
    return session_text({**key, "session_number": source["source_number"]})
