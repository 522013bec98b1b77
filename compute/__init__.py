"""Arrays and videos in, arrays out: no database, no settings, no global state."""
