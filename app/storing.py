"""Judged posts into the store, and none of an author who was erased while they were on their way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from store.posts import Judged, Posts

Erased = Callable[[], Collection[str]]
"""The keys of the authors whose posts are not stored."""


def store(posts: Posts, batch: Sequence[Judged], erased: Erased) -> None:
    """Put a batch, then look who was erased: whoever comes first, here or ``yujing erase``, deletes it."""
    posts.put(batch)
    for key in {judged.post.author.key for judged in batch}.intersection(erased()):
        posts.forget_author(key)
