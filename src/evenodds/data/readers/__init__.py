"""A file for each kind of source. What a public function here returns a `Dataset` for can be named as data."""
