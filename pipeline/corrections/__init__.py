"""Names and values that a person corrects, with every result carried along."""
