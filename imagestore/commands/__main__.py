"""`python -m imagestore.commands`: the command where no script was installed, as in the containers."""

import sys

from imagestore.commands import main

sys.exit(main())
