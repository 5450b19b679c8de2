"""`python -m vidpretrain` is the command line."""

from vidpretrain.cli import main

if __name__ == "__main__":
    main()
