"""Drifts that bend: chosen against a straight line on unseen sessions, with fixed points and Lyapunov exponents."""
