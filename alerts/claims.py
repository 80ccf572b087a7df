"""The digest: what the negative posts claim, in their own words, each claim with its count.

Extractive, so that nothing is put into anybody's mouth: a claim is a sentence (or a run of its clauses) that
stands in one post, and its count is the number of posts that share the claim's two weightiest words.
Claims are picked one after the other, each by how many stories it adds to those already covered (greedy
maximum coverage), so that three claims say three different things.

Posts are as long and as odd as their authors like, and no mail may wait for one: of each only the beginning is
read, cut once into a bounded number of runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice

from alerts.view import Claim
from alerts.words import plain
from domain.assessment import Stance
from store.posts import Judged

LONGEST = 40
"""Characters of a claim."""
SHORTEST = 4
VOCABULARY = 40
"""Shared words looked at."""
READ = 2000
"""Characters of a post looked at."""
CLAUSES = 6
"""Clauses of a claim, at most."""
RUNS = 200
"""Runs of clauses of a post looked at."""

_SENTENCE = re.compile(r"[^。！？!?；;\n…]+[。！？!?；;…]*")
_CLAUSE = re.compile(r"(?:[^，,：:]|(?<=\d)[,:](?=\d))+[，,：:]*")
"""Up to a comma or colon, but not the one inside 31,000 or 15:07."""
_STOP = re.compile(r"[。！？!?；;\n…，,：:]")
_QUESTION = re.compile(r"[？?]|[吗呢么]$")
_LEANING = (
    "但",
    "而",
    "所以",
    "然后",
    "还",
    "也",
    "不过",
    "后来",
    "就",
    "因为",
    "这",
    "那",
    "他",
    "她",
    "它",
)
"""A claim that begins so leans on a sentence the reader does not see."""
_TRIM = " ，,：:、。；;！!…~～"

Quotes = dict[tuple[str, ...], tuple[float, str]]
"""Clarity and text of a post's best run by the words it holds."""


def digest(found: Sequence[Judged], *, names: Sequence[str] = (), limit: int = 3) -> tuple[Claim, ...]:
    """The clearest claims of negative posts, at most ``limit``; ``names`` (of the brand) never count as words.

    Posts that only ask or deny are left out: they claim nothing.
    """
    pool = [judged for judged in found if _asserts(judged)]
    words = _vocabulary(pool, names)
    texts = {judged.post.id: _beginning(judged.post.whole) for judged in pool}
    folded = {post: _folded(text) for post, text in texts.items()}
    holders = {word: {post for post, text in folded.items() if word in text} for word in words}
    quotes = {post: _quotes(text, words) for post, text in texts.items()}
    claims: list[Claim] = []
    covered: set[str] = set()
    used: set[str] = set()
    while len(claims) < limit:
        best = _best(pool, quotes, holders, covered, used) or _largest_story(pool, quotes, covered)
        if best is None:
            break
        claim, reached = best
        claims.append(claim)
        covered |= reached
        used.update(claim.words)
    return tuple(sorted(claims, key=lambda claim: -claim.posts))


def _asserts(judged: Judged) -> bool:
    stances = {topic.stance for topic in judged.assessment.topics}
    return not stances or Stance.ASSERT in stances or Stance.OTHER in stances


def _beginning(text: str) -> str:
    """At most ``READ`` characters, and no clause cut in its middle."""
    if len(text) <= READ:
        return text
    return text[: READ - len(_STOP.split(text[:READ])[-1])]


def _folded(text: str) -> str:
    return plain(text).casefold()


def _vocabulary(pool: Sequence[Judged], names: Sequence[str]) -> list[str]:
    """Words that at least two stories share, most shared first."""
    folded = [name.casefold() for name in names if name]
    stories: dict[str, set[str]] = {}
    for judged in pool:
        assessment = judged.assessment
        for raw in (*assessment.keywords, *assessment.decisive):
            word = _folded(raw)
            if 2 <= len(word) <= 8 and not word.isdigit() and not any(word in n or n in word for n in folded):
                stories.setdefault(word, set()).add(judged.story)
    shared = [word for word, where in stories.items() if len(where) >= 2]
    return sorted(shared, key=lambda word: (-len(stories[word]), word))[:VOCABULARY]


def _best(
    pool: Sequence[Judged],
    quotes: dict[str, Quotes],
    holders: dict[str, set[str]],
    covered: set[str],
    used: set[str],
) -> tuple[Claim, set[str]] | None:
    """The claim of the word pair that adds most stories, put in the clearest sentence holding both words."""
    story = {judged.post.id: judged.story for judged in pool}
    ranked = []
    for first, second in combinations(holders, 2):
        if first in second or second in first or {first, second} <= used:
            continue
        both = holders[first] & holders[second]
        gain = len({story[post] for post in both - covered})
        if gain >= 2:
            shared = len(holders[first]) + len(holders[second])
            ranked.append((-gain, first in used or second in used, -shared, first, second))
    for *_, first, second in sorted(ranked):
        both = holders[first] & holders[second]
        sentence = _clearest(both - covered, quotes, (first, second))
        if sentence:
            return _claim(pool, both, (first, second), sentence), both
    return None


def _largest_story(
    pool: Sequence[Judged], quotes: dict[str, Quotes], covered: set[str]
) -> tuple[Claim, set[str]] | None:
    """Where no words are shared: the story with most posts not told yet, in its clearest sentence."""
    left = [judged for judged in pool if judged.post.id not in covered]
    sizes = Counter(judged.story for judged in left)
    for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        reached = {judged.post.id for judged in left if judged.story == name}
        sentence = _clearest(reached, quotes, ())
        if sentence:
            return _claim(pool, reached, (), sentence), reached
    return None


def _claim(
    pool: Sequence[Judged], reached: set[str], words: tuple[str, ...], sentence: tuple[str, str]
) -> Claim:
    authors = [judged.post.author.key for judged in pool if judged.post.id in reached]
    known = {key for key in authors if key}
    text, post = sentence
    return Claim(text=text, posts=len(reached), accounts=len(known), words=words, post=post)


def _clearest(
    posts: Iterable[str], quotes: dict[str, Quotes], needed: tuple[str, ...]
) -> tuple[str, str] | None:
    """Text and post id of the best run of clauses that holds all of ``needed``."""
    found = [(-quotes[post][needed][0], post) for post in posts if needed in quotes[post]]
    if not found:
        return None
    _, post = min(found)
    return quotes[post][needed][1], post


def _quotes(text: str, words: Sequence[str]) -> Quotes:
    """The clearest run of a post for each pair of words, and the clearest of all under no words."""
    best: Quotes = {}
    for run, whole in islice(_runs(text), RUNS):
        folded = run.casefold()
        held = [word for word in words if word in folded]
        clarity = _clarity(run, whole=whole)
        scores: dict[tuple[str, ...], float] = {(): clarity}
        scores |= dict.fromkeys(combinations(held, 2), clarity + 0.4 * len(held))
        for needed, score in scores.items():
            if needed not in best or score > best[needed][0]:
                best[needed] = (score, run)
    return best


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Every run of clauses of a claim's length, and whether it is a whole sentence; questions are none."""
    for sentence in _SENTENCE.findall(text):
        if _QUESTION.search(sentence.strip(_TRIM + "。")):
            continue
        clauses = _CLAUSE.findall(plain(sentence))
        for first, clause in enumerate(clauses):
            if not clause.strip(_TRIM):
                continue  # The run that begins with the next clause is the same.
            for last in range(first + 1, min(first + CLAUSES, len(clauses)) + 1):
                run = "".join(clauses[first:last]).strip(_TRIM)
                if len(run) > LONGEST:
                    break
                if len(run) >= SHORTEST:
                    yield run, last == len(clauses) and first == 0


def _clarity(text: str, *, whole: bool) -> float:
    """Points for a sentence that can stand alone: whole, of middling length, balanced, not leaning, no chatter."""
    score = 2.0 if whole else 0.0
    score -= abs(len(text) - 22) / 12
    score -= 2.0 if text.startswith(_LEANING) else 0.0
    score -= 1.5 if re.search(r"[@#\[\]]|哈哈|😂|笑死", text) else 0.0
    unbalanced = text.count("“") != text.count("”") or text.count("「") != text.count("」")
    return score - (3.0 if unbalanced else 0.0)
