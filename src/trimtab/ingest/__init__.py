"""Other tools' records brought into a store."""
