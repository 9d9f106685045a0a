"""`python -m evenodds` is the command `evenodds`."""

import sys

from evenodds.cli import main

sys.exit(main())
