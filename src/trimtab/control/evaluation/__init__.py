"""Proof: policies side by side on simulated sessions, and against an oracle that knows the true dynamics."""
