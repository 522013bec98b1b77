"""Filters side by side: noise left, movement kept, the choice of a filter, intervals over mice."""
