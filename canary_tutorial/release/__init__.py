"""One Canary and its releases.

Belongs here: what a Canary says of itself and what one does with it, a release as it goes on, its plan, its ticks, its
result. Does not belong here: pictures and widgets. May import `metrics` and below, and Flagger's pure rules.
"""
