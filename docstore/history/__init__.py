"""The history of documents: what they said, what changed, and how to get from one to the other."""
