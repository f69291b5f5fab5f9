"""`python -m levada` is the `levada` command."""

import sys

from levada.cli import main

sys.exit(main())
