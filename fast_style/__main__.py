"""``python -m fast_style``."""

import sys

from fast_style.cli import main

sys.exit(main())
