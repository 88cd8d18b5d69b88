"""kubectl's verbs on plain dicts.

Belongs here: the Kubernetes API as HTTP, objects and manifests, rollouts, exec, waiting for a state.
Does not belong here: anything that knows what a canary is, or who created an object.
May import `errors` and `screen`.
"""
