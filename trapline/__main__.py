"""`python -m trapline`: the same as the command `trapline`."""

from trapline.cli import main

if __name__ == "__main__":
    main()
