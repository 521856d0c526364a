"""The mathematics of one model: pure functions of arrays."""
