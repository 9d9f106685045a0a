"""Run folders that strangers may have made: mutations by seed, and what a command may do with them."""
