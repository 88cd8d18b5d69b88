"""PromQL queries with typed results.

Belongs here: queries, time series, and arithmetic on counters.
Does not belong here: what Flagger concludes from them. May import `install` and below.
"""
