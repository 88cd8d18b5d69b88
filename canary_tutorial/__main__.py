"""Entry point: `python -m canary_tutorial` runs the command `canary-tutorial`."""

from canary_tutorial.cli.tutorial import main

main(prog_name="canary-tutorial")
