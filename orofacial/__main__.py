"""`python -m orofacial`, the same as the command `orofacial`."""

from pipeline.cli import main

main()
