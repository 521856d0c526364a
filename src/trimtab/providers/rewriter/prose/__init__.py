"""The rewriter's text mode: prose, plans and answers instead of programs."""
