"""Which files there are, which belong together, what they are called: nothing is decoded here."""
