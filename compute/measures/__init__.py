"""What is measured on tracks: distances, quality, bouts, movement, errors on labeled frames."""
