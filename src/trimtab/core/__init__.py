"""The vocabulary of trimtab: objectives, records, trajectories and random streams. No input or output."""
