"""Where nodes really are, by labeled frames that the network has not seen: lasting offsets, and intervals that hold."""
