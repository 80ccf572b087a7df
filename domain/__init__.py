"""The nouns of Yujing: frozen, keyword-only dataclasses, one file each. Standard library only."""
