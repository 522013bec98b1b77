"""Files on disk become rows: sessions, videos, labels, models."""
