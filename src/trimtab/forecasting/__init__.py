"""forecasting: what fitted or given loops would do next, as ensembles of paths that carry what is not known of them."""
