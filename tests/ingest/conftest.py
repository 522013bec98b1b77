"""What the tests of ingest share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.settings import Settings


@pytest.fixture
def empty_session_tables(database: Settings) -> Iterator[None]:
    """Tables of mice, sessions and videos that are empty again after each test."""
    from schemas.session import MetadataCorrection, Session, Video
    from schemas.subject import Mouse

    yield
    for table in (MetadataCorrection, Video, Session, Mouse):
        table().delete_quick()
