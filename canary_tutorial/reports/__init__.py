"""Executes notebooks without a browser, and collects their results.

Belongs here: papermill, the summary, the HTML and JSON of a report, peak memory.
Does not belong here: what a notebook shows while it runs. May import `connection`, `release` and below.
"""
