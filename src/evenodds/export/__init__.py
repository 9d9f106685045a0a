"""A trained run taken away: one file that other programs and languages read, and such a file put to work."""
