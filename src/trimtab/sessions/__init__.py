"""Running experiments: tasks, strategies, configuration and the asynchronous runner."""
