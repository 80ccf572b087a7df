"""Every error that Yujing raises on purpose.

    YujingError                  one clear line for the person in front of it
    ├── UsageError               the command was called wrongly (exit code 2)
    ├── ConfigError              config/ or the environment is wrong; names file, line and key
    ├── InputError               a file or row handed in cannot be used; names file and row
    ├── ModelError               a model directory is missing, truncated, foreign or tampered with
    ├── StoreError               a store refused: full disk, corrupt file, locked, unreachable
    │   └── RefusedError         it can never keep this one record, and keeps the others
    ├── FetchError               a source could not be read
    └── DeliveryError            a message could not be handed over

``permanent`` says whether trying again can help. Retrying lives in one place
for each stage (the outbox for delivery, Scrapy for fetching); nobody else
loops over errors.
"""


class YujingError(Exception):
    """Base of all expected failures; ``str(error)`` is one line fit for stderr."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.permanent = permanent


class UsageError(YujingError):
    """The command line was used wrongly."""


class ConfigError(YujingError):
    """A setting is missing, unknown or of the wrong type."""


class InputError(YujingError):
    """A file, or a row of it, cannot be used."""


class ModelError(YujingError):
    """The classifier's files cannot be trusted or loaded."""


class StoreError(YujingError):
    """A store could not do what it was asked; nothing acknowledged was lost."""


class RefusedError(StoreError):
    """A record that the store can never keep; the message says why. Its neighbours are not to blame."""


class FetchError(YujingError):
    """A page of a source could not be had."""


class DeliveryError(YujingError):
    """A notification could not be delivered."""
