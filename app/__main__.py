"""``python -m app`` is ``yujing``."""

from app.cli import main

if __name__ == "__main__":
    main()
