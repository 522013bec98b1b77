"""Files of the stores and their rows: collection, deletion, arrays from other tables."""
