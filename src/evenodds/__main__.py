"""`python -m evenodds` is the command `evenodds`.

Python puts the working folder first on the path of imports, where a module of a downloaded run's folder would take the
place of any other. It is taken off the path before anything is imported, or goes to its end where evenodds lies in it.
"""

import os
import sys

if not sys.flags.safe_path and sys.path:
    _first = sys.path.pop(0)
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == os.path.abspath(_first):
        sys.path.append(_first)

from evenodds.cli import main

sys.exit(main())
