"""Whether labels fit their images: points inside, and one image labeled in one way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.labels.labeled_frames import labeled_frame_sources, labeled_image_hash, labeled_positions
from compute.labels.placed_points import PlacedPoints, merge_placed_points
from compute.picture_points import describe_normalized_points

if TYPE_CHECKING:
    import sleap_io as sio

OUTSIDE_IMAGE_PX = 1.0
"""(px) how far outside the image a placed point may lie: programs round differently at the edge."""

SAME_POINT_PX = 3.0
"""(px) how far apart a node may lie in two frames with the same image, such as two copies of a frame in a video."""


_NOT_PLACED = ((0.0, 0.0), (-1.0, -1.0))
"""What programs write for a point that nobody placed; no hand meets the corner of the picture so exactly."""


def check_labeled_images(labels: sio.Labels, images: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Refuse labels that do not fit their images.

    Parameters
    ----------
    labels : sleap_io.Labels
        As `read_labels` gives them.
    images : sequence of array, shape (height, width), uint8
        The image of each labeled frame.
    path : Path
        The file of the labels, for the message.

    Raises
    ------
    LabelsError
        If a point lies more than `OUTSIDE_IMAGE_PX` outside its image, or exactly where programs write a point that
        nobody placed, all points are fractions of the image's size, or the same image is labeled twice with points more
        than `SAME_POINT_PX` apart. The message names file, frame and node.
    """
    _check_pixels(labeled_positions(labels), images, path)
    nodes = labels.skeleton.node_names
    by_image: dict[str, list[PlacedPoints]] = {}
    for source, position, image in zip(labeled_frame_sources(labels), labeled_positions(labels), images, strict=True):
        where = f"frame {source.frame_index} of {source.path}"
        _check_placed(position, nodes, f"{path}: {where}")
        _check_inside(position, image.shape, nodes, f"{path}: {where}")
        by_image.setdefault(labeled_image_hash(image), []).append(PlacedPoints(where, position))
    for placed in by_image.values():
        if len(placed) > 1:
            what = f"{path}: {' and '.join(one.who for one in placed)} are the same image"
            merge_placed_points(placed, nodes, what, "delete the wrong one", same_px=SAME_POINT_PX)


def _check_pixels(position: NDArray[np.float64], images: Sequence[NDArray[np.uint8]], path: Path) -> None:
    height_px, width_px = min((image.shape for image in images), key=min)
    normalized = describe_normalized_points(position, width_px=width_px, height_px=height_px)
    if normalized:
        raise LabelsError(f"{path}: {normalized}")


def _check_placed(position: NDArray[np.float64], nodes: Sequence[str], where: str) -> None:
    for node, (x, y) in zip(nodes, position, strict=True):
        if (x, y) in _NOT_PLACED:
            raise LabelsError(
                f"{where}: {node} lies at exactly ({x:g}, {y:g}), as some programs write a node that nobody placed;"
                " expected empty cells (nan) there. Clear both coordinates of such nodes; or, if one was placed there,"
                " move it by a fraction of a px"
            )


def _check_inside(position: NDArray[np.float64], shape: tuple[int, ...], nodes: Sequence[str], where: str) -> None:
    height_px, width_px = shape
    edge_px = 0.5 + OUTSIDE_IMAGE_PX  # the center of the upper left pixel is (0, 0)
    for node, (x, y) in zip(nodes, position, strict=True):
        if not (np.isnan(x) or (-edge_px <= x <= width_px - 1 + edge_px and -edge_px <= y <= height_px - 1 + edge_px)):
            raise LabelsError(
                f"{where}: {node} lies at ({x:g}, {y:g}), outside the image of {width_px} x {height_px} px; were these"
                " images resized after they were labeled? Place the point again, or give the images that were labeled"
            )
