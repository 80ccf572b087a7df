"""``yujing erase``: everything that one author published is deleted (PIPL art. 47)."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from app.printing import note
from app.signing import signed
from domain.errors import InputError
from domain.local_time import iso
from store.ledger import ERASED, AuditEntry

MOST_WAITING = 10_000
"""Mails rewritten; more never wait but where no mail server has been reached for days."""
EXAMPLE = "例：yujing erase 0f3a…（search --json 里的 id） --reason 本人要求删除"


def command(
    ctx: typer.Context,
    post: Annotated[
        str, typer.Argument(metavar="POST", help="这位作者任意一条帖子的编号", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="原因（必填）", show_default=False)],
    by: Annotated[str, typer.Option("--by", help="是谁；默认登录名")] = "",
) -> None:
    """删除一位作者的全部帖子，以后再抓到、再导入的也不入库（个人信息保护法第四十七条），记入审计；不能撤销。

    还没发出的预警邮件会去掉这些帖子重写；死信、未能入库的行（rejects）、已发出的邮件和备份不在其内。
    """
    app, actor = ctx.obj(), signed(by)
    now = app.clock.now()
    if not reason.strip():
        raise InputError("请用 --reason 写明原因")
    found = app.posts.get(post)
    if found is None:
        raise InputError("没有这条帖子：编号见 yujing search --json")
    key = found.post.author.key
    if not key:
        raise InputError("这条帖子没有作者标识，不知道哪些帖子是同一个人的")
    # First, so that a kill leaves no deletion that nobody knows of.
    app.ledger.audit.record(
        AuditEntry(at=now, actor=actor, action="erase", subject=f"帖子 {post} 的作者", reason=reason)
    )
    # Before the posts: what a worker stores meanwhile is deleted with them, or never stored.
    app.ledger.states.save(ERASED, {key: {"at": iso(now)}})
    with app.models.alone():  # who has read posts, to put them back judged anew, does so before
        gone = app.posts.forget_author(key)
    waiting = app.ledger.outbox.find(state="waiting", limit=MOST_WAITING)
    kept = len(waiting) - len(app.ledger.outbox.withdraw([mail.id for mail in waiting], at=now))
    if kept:
        note(f"yujing: {kept} 封预警邮件正在写或正在发，来不及重写", sys.stderr)
    print(json.dumps({"erased": gone}))
