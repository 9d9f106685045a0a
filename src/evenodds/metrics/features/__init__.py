"""What examples are compared by: from items to rows of numbers, one extractor per module, named like its module."""
