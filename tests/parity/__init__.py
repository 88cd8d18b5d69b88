"""One suite of release scenarios for two controllers: ours, and the real Flagger.

A scenario (`scenarios/`) is written once: what a person does with kubectl, on a `Stage`. It is played on a lab with our
controller and on one with the real Flagger (`live`), or with our controller in virtual time (`virtual`), and cannot tell
which. What the controller did is recorded (`recorder`, `normal`) and compared: `recorded/` has the real Flagger's side.
"""
