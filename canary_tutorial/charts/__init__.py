"""Charts of a release: computed as data, drawn as plotly figures and SVG, displayed in notebooks.

Belongs here: charts as plain data, as plotly figures and as SVG.
Does not belong here: controls. May import `release` and below.
"""
