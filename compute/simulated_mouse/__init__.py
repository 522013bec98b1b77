"""A simulated head-fixed mouse before two cameras, with the truth about every node."""
