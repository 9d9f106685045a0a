"""A class for each pixel: maps, masks and annotations as people have them."""
