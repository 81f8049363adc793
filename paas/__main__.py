"""`python -m paas` is the `paas` command."""

from paas.cli import main

if __name__ == "__main__":
    main()
