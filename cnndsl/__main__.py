"""Run as `python -m cnndsl`."""

from cnndsl.cli.app import main

if __name__ == "__main__":
    main()
