"""`python -m canary_tutorial` is the command `canary-tutorial`."""

from canary_tutorial.cli import main

main(prog_name="canary-tutorial")
