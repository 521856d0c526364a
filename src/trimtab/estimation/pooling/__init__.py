"""Dynamics of groups that resemble each other: partial pooling of tasks, models or any other label."""
