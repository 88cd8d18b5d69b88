"""`python -m canary_tutorial` is the command `canary-tutorial`."""

from canary_tutorial.cli.tutorial import main

main(prog_name="canary-tutorial")
