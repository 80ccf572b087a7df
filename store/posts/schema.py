"""Tables of the embedded posts store.

``posts`` is narrow, so that filtering and sorting read few pages; ``documents`` holds what is long. ``mentions``
has a row for every question that is asked by prefix: brand × topic, where an empty brand stands for the post
itself and an empty topic for all of it; its story is a 64-bit digest, quick to read and to compare. Times are
microseconds since the epoch.

``words`` indexes ``documents.tokens`` (FTS5, external content): the tokens are kept because taking a text out
of the index needs the very words that were put in, and the segmenter's dictionary may have changed since.
Every character that is not a blank belongs to a token: the words were cut before.
"""

SCHEMA = """
CREATE TABLE posts (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    published INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    date_only INTEGER NOT NULL,
    platform TEXT NOT NULL,
    source TEXT NOT NULL,
    story TEXT NOT NULL,
    influence REAL NOT NULL,
    text_digest BLOB NOT NULL
);
CREATE INDEX posts_by_story ON posts (story);
CREATE INDEX posts_by_source ON posts (source, published);
CREATE TABLE documents (
    n INTEGER PRIMARY KEY,
    tokens TEXT NOT NULL,
    post TEXT NOT NULL,
    assessment TEXT NOT NULL
);
CREATE TABLE mentions (
    brand TEXT NOT NULL,
    topic TEXT NOT NULL,
    published INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sentiment INTEGER NOT NULL,
    negative REAL NOT NULL,
    influence REAL NOT NULL,
    date_only INTEGER NOT NULL,
    story INTEGER NOT NULL,
    platform TEXT NOT NULL,
    stance TEXT NOT NULL,
    PRIMARY KEY (brand, topic, published, n)
) WITHOUT ROWID;
CREATE INDEX mentions_by_post ON mentions (n);
CREATE TABLE engagements (
    n INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    reposts INTEGER NOT NULL,
    comments INTEGER NOT NULL,
    likes INTEGER NOT NULL,
    views INTEGER NOT NULL,
    PRIMARY KEY (n, fetched)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    tokens,
    content='documents',
    content_rowid='n',
    tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
)
"""
