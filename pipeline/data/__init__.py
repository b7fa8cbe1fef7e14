"""The data layer: where images come from, the shards they are kept in, and stored features."""
