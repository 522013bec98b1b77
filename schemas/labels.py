"""What people labelled: skeletons and labeled frames."""

from __future__ import annotations

from collections.abc import Collection

import datajoint as dj

from schemas.session import Camera  # noqa: F401  (named in the definitions)
from schemas.subject import Mouse  # noqa: F401

schema = dj.Schema()


@schema
class Skeleton(dj.Manual):
    """Nodes and edges that belong together."""

    definition = """
    skeleton_id : char(16)  # hash of the names of nodes and edges, in their order
    """

    class Node(dj.Part):
        """A point that is labelled."""

        definition = """
        -> master
        node : varchar(64)
        ---
        node_index : int16  # place in the arrays
        """

    class Edge(dj.Part):
        """A line between two nodes."""

        definition = """
        -> master
        edge_index : int16
        ---
        -> Skeleton.Node.proj(source_node='node')
        -> Skeleton.Node.proj(target_node='node')
        """

    def nodes(self) -> list[str]:
        """Node names of the one skeleton that this query is restricted to, in the order of the arrays."""
        return list((self.Node & self).to_arrays("node", order_by="node_index"))


@schema
class LabelImage(dj.Manual):
    """A labeled image, stored once however many sets of labels hold it: see `schemas.label_images`."""

    definition = """
    image_hash : char(32)  # of the gray image: the frame's identity, the same in all labels
    ---
    image : <bundle@labels>  # PNG file
    """


@schema
class LabeledFrames(dj.Manual):
    """Frames with nodes placed by people, imported as one set, images included. Never altered.

    `schemas.label_images.fetch_labels_package` gives the package with its images.
    """

    definition = """
    labels_id : char(16)  # hash of images and points
    ---
    labels_name : varchar(255)  # name of the imported file
    -> Camera
    -> Skeleton
    n_labeled_frames : int32
    image_width_px : int32  # size of the images
    image_height_px : int32
    package : <bundle@labels>  # SLEAP package (.pkg.slp) with the images
    imported_at=CURRENT_TIMESTAMP : datetime
    """

    class Source(dj.Part):
        """Where a labeled frame came from."""

        definition = """
        -> master
        labeled_frame_index : int32  # place in the package
        ---
        original_file : varchar(1000)  # video or image, as the labels file named it
        frame_index : int32
        -> [nullable] Mouse
        image_hash : char(32)  # of the gray image: the frame's identity, the same in all labels
        source_date=null : date  # of the session that the file's path names; null: it names none, or not this camera
        source_number=null : int16  # number of that session
        """

    class Image(dj.Part):
        """An image that the package names and does not hold. Packages that version 8 or before stored hold theirs."""

        definition = """
        -> master
        -> LabelImage
        """


@schema
class DeletedLabels(dj.Manual):
    """Labels that somebody deleted. Their package stays in the store until it is collected, long after."""

    definition = """
    package_path : varchar(255)  # in the labels store
    ---
    deleted_labels_id : char(16)  # as it was in LabeledFrames
    deleted_labels_name : varchar(255)
    labels_deleted_at=CURRENT_TIMESTAMP : datetime
    """


@schema
class DeletedLabelImage(dj.Manual):
    """An image that the package of deleted labels names; it stays in the store as long as that package."""

    definition = """
    -> DeletedLabels
    -> LabelImage
    """


def same_skeleton_nodes() -> dj.expression.QueryExpression:
    """Pairs of skeletons with the same node names, whatever their order and edges.

    Columns ``model_skeleton`` and ``labels_skeleton``; each skeleton is also paired with itself.
    """
    sides = ("model", "labels")
    nodes = [Skeleton.Node.proj(**{f"{side}_skeleton": "skeleton_id"}) for side in sides]
    pairs = dj.U("model_skeleton", "labels_skeleton").aggr(nodes[0] * nodes[1], n_shared="count(*)")
    for side in sides:
        pairs *= dj.U(f"{side}_skeleton").aggr(
            Skeleton.Node.proj(**{f"{side}_skeleton": "skeleton_id"}), **{f"n_{side}": "count(*)"}
        )
    return pairs & "n_shared = n_model" & "n_shared = n_labels"


def mice_of_images(image_hashes: Collection[str]) -> dict[str, set[str]]:
    """The mice that labels name for these images; an image of which no mouse is known is left out."""
    known = LabeledFrames.Source & "mouse_id is not null"
    mice: dict[str, set[str]] = {}
    for image_hash, mouse in zip(*known.to_arrays("image_hash", "mouse_id"), strict=True):
        if image_hash in image_hashes:
            mice.setdefault(str(image_hash), set()).add(str(mouse))
    return mice
