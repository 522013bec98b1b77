"""The demo: a simulated lab goes through the whole pipeline."""
