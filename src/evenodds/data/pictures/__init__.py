"""The picture in a file: opened without trust, decoded, placed, stacked with others."""
