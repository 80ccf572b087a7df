"""The posts on an Elasticsearch cluster: indices by month of publication behind one read alias.

``connection`` asks the server and waits for it, ``problems`` says what went wrong, ``templates`` keeps the
indices' shape, ``documents`` turns a post into a document and back, ``writing``, ``asking``, ``counting`` and
``forgetting`` answer for ``store.posts.Posts``, which ``posts`` puts together.
"""
