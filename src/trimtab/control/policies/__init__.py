"""Policies: rules from history to the next strategy, stop, or ask a human."""
