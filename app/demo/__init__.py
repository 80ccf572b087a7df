"""``yujing demo``: the whole job on one machine, over an invented web, with the real code."""
