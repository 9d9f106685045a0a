"""A generator put to the test: scores with intervals and floors, copies, the distance from equilibrium."""
