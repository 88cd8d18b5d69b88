"""What the API server says of itself and of its callers.

Belongs here: discovery, OpenAPI, reviews (who am I, may I?).
Does not belong here: stored objects.
"""
