"""How the tables came to be: one set of revisions for both databases, applied when a store opens."""
