"""simulation: ensembles of paths whose noise is a pure function of seed, path, step and component."""
