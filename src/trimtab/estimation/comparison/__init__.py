"""Whether two sets of sessions differ in their dynamics, by how much, and how sure that is."""
