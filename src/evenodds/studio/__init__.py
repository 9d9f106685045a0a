"""The studio: a local page in which runs are watched, started, played with and put to work. `evenodds studio`."""
