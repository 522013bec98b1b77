"""Starts of recordings as instants: local time at the rig with its distance from UTC, the same on every machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from compute.errors import SessionError
from ingest.plausibility import check_plausible_instant


def rig_time_zone_of(rig_time_zone: str) -> ZoneInfo | None:
    """The zone of a setting such as ``Europe/Berlin``; None for an empty one, which stands for this machine's zone."""
    return ZoneInfo(rig_time_zone) if rig_time_zone else None


def rig_time_zone_at(name: str, utc_offset_min: int | None) -> timezone | None:
    """The zone of an offset from UTC (min) that session.toml says; None for None.

    Raises
    ------
    SessionError
        If no local time on earth has this offset; `name` says where it is from.
    """
    if utc_offset_min is None:
        return None
    if not -12 * 60 <= utc_offset_min <= 14 * 60:
        raise SessionError(
            f"{name}: utc_offset_min is {utc_offset_min}; expected -720 to 840 min, the local times on earth, such as"
            " 60 for +01:00"
        )
    return timezone(timedelta(minutes=utc_offset_min))


def rig_time_instant(
    name: str, start: datetime, *, utc_offset_min: int | None, zone: tzinfo | None, what: str = "the start"
) -> datetime:
    """A start, or another time at the rig, with its offset from UTC.

    Parameters
    ----------
    name : str
        Where the start is from, for people.
    start : datetime
        With an offset, which then holds; or local time at the rig.
    utc_offset_min : int or None
        The rig's offset from UTC (min) on that day, if it is said.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    what : str
        What to give with its offset if it needs one, for people.

    Raises
    ------
    SessionError
        If the year is far from now, two offsets are said, or local time is set forward or back at this time, so that it
        is no time or two.
    """
    said = rig_time_zone_at(name, utc_offset_min)
    check_plausible_instant(name, start.isoformat(sep=" "), start.replace(tzinfo=UTC).timestamp())
    if start.tzinfo is not None:
        offset = start.utcoffset() or timedelta(0)
        if said is not None and said.utcoffset(None) != offset:
            raise SessionError(
                f"{name}: start is {start.isoformat(sep=' ')}, but utc_offset_min says {utc_offset_min};"
                " expected the same offset from UTC. Remove one of them"
            )
        return start.replace(tzinfo=timezone(offset))
    if said is not None:
        return start.replace(tzinfo=said)
    first, second = (_at(start.replace(fold=fold), zone) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        is_no_time = in_rig_time(first, zone).replace(tzinfo=None) != start
        where = zone or "this machine's time zone"
        raise SessionError(
            f"{name}: {start.isoformat(sep=' ')} is {'no time' if is_no_time else 'two times'} in {where}, whose clocks"
            f" are set {'forward' if is_no_time else 'back'} then. Give {what} with its offset from UTC, such as"
            f" {first.isoformat()}; or set rig_time_zone in settings.toml if that is not the rig's time zone"
        )
    return first


def in_rig_time(moment: datetime, zone: tzinfo | None) -> datetime:
    """An instant in the rig's local time, with its offset; `zone` None: this machine's."""
    local = moment.astimezone(zone)
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta(0)), fold=0)


def unix_time_instant(seconds: float) -> datetime:
    """The instant of seconds since 1970, in UTC, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _at(local: datetime, zone: tzinfo | None) -> datetime:
    """Local time with its offset; `fold` tells two apart."""
    return in_rig_time(local.astimezone() if zone is None else local.replace(tzinfo=zone), zone)
