"""From a query to hits."""

# Here, since the command line's help says it and loads no engine.
DEFAULT_LIMIT = 10
