"""The cache of records against a real Redis: what is found, refused, barred and buried."""

import redis

from imagestore.cache import Cache, Gone
from imagestore.errors import ImageInvalid
from tests.contract.cache.samples import FIELD, PICTURE, RECIPE, RECORD, SHA, at_rev


def test_published_record_is_found_by_id_name_and_sums(cache: Cache) -> None:
    published = cache.publish(RECORD, sums=[RECORD.md5sum, RECORD.sha256])

    assert published
    assert cache.record(7) == RECORD
    assert cache.record_by_name("demo", RECORD.dkey) == RECORD
    assert cache.record_by_sum(RECORD.md5sum) == RECORD
    assert cache.record_by_sum(RECORD.sha256) == RECORD


def test_unknown_record_is_a_miss(cache: Cache) -> None:
    assert cache.record(8) is None
    assert cache.record_by_name("demo", "x") is None
    assert cache.record_by_sum("00" * 16) is None


def test_older_record_is_refused(cache: Cache) -> None:
    cache.publish(RECORD)

    assert not cache.publish(at_rev(2, size=99))
    assert cache.record(7) == RECORD


def test_same_and_newer_records_are_taken(cache: Cache) -> None:
    cache.publish(RECORD)

    assert cache.publish(RECORD)
    assert cache.publish(at_rev(4, size=99))
    assert cache.record(7) == at_rev(4, size=99)


def test_barred_record_is_not_read_and_older_ones_are_refused(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])

    assert cache.bar(7, 4)

    assert cache.record(7) is None
    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_sum(RECORD.md5sum) is None
    assert not cache.publish(RECORD)


def test_change_that_was_barred_can_be_published(cache: Cache, raw: redis.Redis) -> None:
    cache.publish(RECORD)
    cache.bar(7, 4)

    assert 0 < raw.ttl("record:7") <= 30
    assert cache.publish(at_rev(4))
    assert cache.record(7) == at_rev(4)
    assert 30 < raw.ttl("record:7") <= 600


def test_bar_leaves_what_is_as_new(cache: Cache) -> None:
    cache.publish(at_rev(4))

    assert cache.bar(7, 4)
    assert cache.record(7) == at_rev(4)


def test_tombstone_is_told_from_a_miss_and_refuses_slow_readers(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.sha256])

    assert cache.bury(7, 4)

    assert cache.record(7) == Gone(7, 4)
    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_sum(RECORD.sha256) is None
    assert not cache.publish(at_rev(3))
    assert not cache.publish(at_rev(4))


def test_tombstone_may_be_newer_than_any_number_of_changes(cache: Cache) -> None:
    assert cache.bury(7, 2**53)

    assert not cache.publish(at_rev(2**53 - 1))
    assert cache.record(7) == Gone(7, 2**53)


def test_name_that_went_to_another_image_is_a_miss_until_republished(cache: Cache) -> None:
    cache.publish(RECORD)

    cache.publish(at_rev(4, dkey="renamed"))

    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_name("demo", "renamed") == at_rev(4, dkey="renamed")


def test_sum_of_replaced_content_is_a_miss(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])

    cache.publish(at_rev(4, md5sum="b8" * 16))

    assert cache.record_by_sum(RECORD.md5sum) is None


def test_every_key_has_a_life(cache: Cache, raw: redis.Redis) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])
    cache.bury(8, 1)
    cache.bar(9, 1)
    cache.keep(SHA, FIELD, '"e"', PICTURE)
    cache.teach("w=300", FIELD, None, RECIPE)
    cache.remember_failure(SHA, FIELD, ImageInvalid("cut short"))

    keys = raw.keys()

    assert len(keys) == 9
    assert all(raw.ttl(key) > 0 for key in keys)
