"""If-Match and If-None-Match on writes (RFC 9110 §13.1)."""

import falcon

from api.responses import etag_listed
from imagestore.errors import PreconditionFailed
from imagestore.identity import ORIGINAL_FIELD, picture_etag, record_etag
from imagestore.records import ImageRecord
from imagestore.writing import Precondition


def precondition(req: falcon.Request) -> Precondition | None:
    """What the request expects of the image that it writes to; None when it expects nothing.

    An image answers to two ETags: that of its original (as GET of the picture gives it) and that
    of its description (as GET of `/images/{id}` gives it).
    """
    if_match, if_none_match = req.get_header("If-Match"), req.get_header("If-None-Match")
    if if_match is None and if_none_match is None:
        return None

    def check(record: ImageRecord | None) -> None:
        etags = [record_etag(record), picture_etag(record.sha256, ORIGINAL_FIELD)] if record else []
        if if_match is not None and not etag_listed(if_match, etags, weak=False):
            raise PreconditionFailed("If-Match names another state of this image than its present one")
        if etag_listed(if_none_match, etags, weak=True):
            raise PreconditionFailed("If-None-Match names the present state of this image")

    return check
