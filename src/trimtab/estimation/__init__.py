"""From trajectories to dynamics, with uncertainty."""
