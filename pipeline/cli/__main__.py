"""`python -m pipeline.cli`, the same as `orofacial`."""

from pipeline.cli import main

main()
