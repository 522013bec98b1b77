"""Names of mice that a person gave, and of which no session is here: of another lab, or mistyped."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from compute.text import nearest_names
from ingest.correction_history import NameHistory
from schemas.session import Session


def mice_without_session(mice: Collection[str]) -> dict[str, list[str]]:
    """The mice of which no session is here, each with the known names that are written much like it.

    It is no error, since mice of other labs are such. But a mistyped name makes the mouse that was meant count as held
    out from a model's training.
    """
    known = set(map(str, Session.to_arrays("mouse_id"))) if mice else set()
    names = NameHistory([]) if known.issuperset(mice) else NameHistory.fetch()
    unknown = sorted({names.spelled(mouse) for mouse in mice} - known)
    return {
        mouse: nearest_names(mouse, known) if (now := names.mouse_now(mouse)) == mouse else [now] for mouse in unknown
    }


def mice_without_session_text(found: Mapping[str, Collection[str]]) -> str:
    """The same for people, in one line; empty if there are none.

    Examples
    --------
    >>> mice_without_session_text({"mmaa": [], "v01bsae": ["v01base"]})
    'no session of mouse mmaa, v01bsae (is it v01base?) is here; if a name is wrong, say the right one'
    """
    if not found:
        return ""
    said = (f"{mouse} (is it {' or '.join(near)}?)" if near else mouse for mouse, near in found.items())
    return f"no session of mouse {', '.join(said)} is here; if a name is wrong, say the right one"
