"""What the watch says of a run: its history, the rules that read it, and their thresholds."""
