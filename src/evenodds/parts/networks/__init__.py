"""Who plays: families of generators and discriminators, one file each, for images of any size."""
