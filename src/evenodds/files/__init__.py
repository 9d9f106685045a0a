"""The ground that touches disks and terminals: whole writes, checked reads, memory, safe names."""
