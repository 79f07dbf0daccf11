"""`python -m jaxfeat` does as the command `jaxfeat`."""

import sys

from jaxfeat.cli import main

if __name__ == "__main__":
    sys.exit(main())
