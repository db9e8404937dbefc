#!lua flags=allow-oom
-- The record of an image: state, JSON and rev. KEYS: the record.
-- It only reads, and does not say so (no-writes): a Redis that refuses writes, since its disk is full,
-- could not be told of changes either, and now refuses this script too.
return redis.call("HMGET", KEYS[1], "state", "info", "rev")
