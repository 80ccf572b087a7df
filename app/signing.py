"""Who takes a decision on the command line."""

from __future__ import annotations

import getpass

from app.printing import plain
from domain.errors import UsageError


def signed(by: str) -> str:
    """The name that a decision is signed with: the one given, else the login name. Raises ``UsageError``."""
    try:
        name = plain(by) or plain(getpass.getuser())
    except (OSError, KeyError):
        name = ""
    if not name:
        raise UsageError("不知道是谁在操作：请用 --by 写明姓名")
    if len(name) > 64 or name.startswith("rule:"):
        raise UsageError("--by 不能超过 64 个字符，也不能以 rule: 开头")
    return name
