"""From text to scores. The text is never executed."""
