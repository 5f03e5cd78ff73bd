"""`python -m torchdx`."""

from torchdx.cli import main

if __name__ == "__main__":
    main()
