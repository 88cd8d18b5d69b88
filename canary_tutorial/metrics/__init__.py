"""Questions to Prometheus, with typed answers.

Belongs here: queries, time series, and arithmetic on counters.
Does not belong here: what Flagger concludes from them. May import `install` and below.
"""
