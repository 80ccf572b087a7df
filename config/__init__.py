"""The files that people edit, and the typed, frozen settings over them."""
