"""A small invented web and a scripted event, for the first run and the tests; no real site is contacted."""
