"""Networks from images to images of any size, one family a file, each with a class Generator; see `residual`."""
