"""Addresses of mail."""

from __future__ import annotations


def is_mailbox(text: str) -> bool:
    """Whether mail can be sent to an address: name@domain in ASCII (RFC 5322), as the writer of mails wants it."""
    # Imported here: it takes longer than the rest of the environment, and most commands send nothing.
    from email.errors import HeaderParseError
    from email.headerregistry import Address

    try:
        address = Address(addr_spec=text)
    except (ValueError, HeaderParseError, IndexError):
        return False
    return bool(address.username and address.domain) and text.isascii()
