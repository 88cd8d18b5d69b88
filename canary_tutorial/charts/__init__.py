"""Pictures of a release: pure figures from data, and how they get on the screen.

Belongs here: charts as plain data, as plotly figures and as SVG.
Does not belong here: controls. May import `release` and below.
"""
