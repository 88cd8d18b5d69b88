"""What the API server reports about itself and its callers.

Belongs here: the version, discovery, OpenAPI, reviews (who am I, may I?).
Does not belong here: stored objects (`verbs`).
May import: `call` and what is below it.
"""
