"""The full model of a scored loop: dynamics, lasting differences between sessions, and score noise, by likelihood."""
