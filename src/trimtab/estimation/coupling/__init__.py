"""Several agents in one system: what each does to the others."""
