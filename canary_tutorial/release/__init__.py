"""One Canary and its releases.

Belongs here: a Canary's state and its verbs; a release's progress, plan, ticks and result.
Does not belong here: pictures and widgets. May import `metrics` and below, and Flagger's pure rules.
"""
