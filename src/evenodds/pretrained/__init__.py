"""Networks that others have trained: their weights are found, checked and read, and nothing of theirs is executed."""
