"""reproduction: the paper's claims, its experiment simulated many times, and what its own estimator makes of it."""
