"""The ground that touches disks and terminals: whole writes, checked reads, safe names."""
