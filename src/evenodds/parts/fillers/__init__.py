"""Who fills in: generators for the task `fill`, one file for each kind of data."""
