"""What can go wrong, in the words of the problem table.

`name` is the problem's public name (the last part of its `type` URI). The message is for the
client: it names the field, the value and what was expected, and never a path, a host, SQL or a
version. HTTP statuses are `api/errors.py`'s business.
"""

from typing import ClassVar


class ImagestoreError(Exception):
    """Base of every error that this package raises on purpose."""

    name: ClassVar[str] = "internal-error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(ImagestoreError):
    """The request as a whole cannot be understood."""

    name = "invalid-request"


class InvalidParameter(ImagestoreError):
    """One parameter's value is outside its grammar or its range."""

    name = "invalid-parameter"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter

    def __reduce__(self) -> tuple[type["InvalidParameter"], tuple[str, str]]:
        """Errors cross process borders, and pickle's default would lose the second argument."""
        return type(self), (self.parameter, self.detail)


class InvalidKey(ImagestoreError):
    """A domain or a dkey is outside its grammar."""

    name = "invalid-key"


class InvalidURL(ImagestoreError):
    """A URL to fetch from or to call back is outside the grammar of `weburl`."""

    name = "invalid-url"


class Unauthenticated(ImagestoreError):
    """A write without a valid API key."""

    name = "unauthenticated"


class Forbidden(ImagestoreError):
    """The API key is valid, but not for this domain."""

    name = "forbidden"


class SignatureInvalid(ImagestoreError):
    """A URL that must be signed is not, or not rightly."""

    name = "signature-invalid"


class SignatureExpired(ImagestoreError):
    """A signed URL whose time is over."""

    name = "signature-expired"


class FetchTargetForbidden(ImagestoreError):
    """A URL leads to an address or a port that this server may not reach.

    The message is the same for all of them, so that it tells nothing of the network around us.
    """

    name = "fetch-target-forbidden"

    def __init__(
        self,
        detail: str = "the URL leads to an address or a port that this server may not reach"
        " (settings FETCH_ALLOW, FETCH_PORTS)",
    ) -> None:
        super().__init__(detail)


class FetchFailed(ImagestoreError):
    """Another server did not give what was asked of it.

    `reason` is one short machine word (`http-404`, `timeout`, `dns`, `cut-short`: the lists are in
    `outbound` and `download`). `passing` says that a later try may do better; `retry_after_s`
    (0 to 86,400) is the pause that the other server asked for.
    """

    name = "fetch-failed"

    def __init__(
        self, reason: str, detail: str, passing: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.passing = passing
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type["FetchFailed"], tuple[str, str, bool, float | None]]:
        return type(self), (self.reason, self.detail, self.passing, self.retry_after_s)


class NotFound(ImagestoreError):
    """Nothing is there."""

    name = "not-found"


class ImageNotFound(NotFound):
    """No such image."""

    name = "image-not-found"


class TaskNotFound(NotFound):
    """No such task."""

    name = "task-not-found"


class TaskConflict(ImagestoreError):
    """The task is in another state than this needs: it runs, or it has ended, or it has not failed."""

    name = "task-conflict"


class KeyConflict(ImagestoreError):
    """The name already holds other bytes, and the caller did not ask to replace them."""

    name = "key-conflict"


class PreconditionFailed(ImagestoreError):
    """If-Match (or If-None-Match: *) does not hold."""

    name = "precondition-failed"


class PayloadTooLarge(ImagestoreError):
    """The body is over the limit, measured while reading."""

    name = "payload-too-large"


class UnsupportedMediaType(ImagestoreError):
    """The first bytes are not of an allowed picture format."""

    name = "unsupported-media-type"


class RejectedImage(ImagestoreError):
    """Base: the bytes claim to be a picture, but not one that we keep."""


class ImageInvalid(RejectedImage):
    """It cannot be decoded whole, or it decodes to nothing."""

    name = "image-invalid"


class ImageTooLarge(RejectedImage):
    """Too many pixels, or a side too long."""

    name = "image-too-large"


class ImageTooManyFrames(RejectedImage):
    """Too many frames, or too many pixels in all frames together."""

    name = "image-too-many-frames"


class ImageTooComplex(RejectedImage):
    """The decode passed its time or memory limit."""

    name = "image-too-complex"


class RateLimited(ImagestoreError):
    """The caller asks too often; the next request may come after `retry_after_s` seconds."""

    name = "rate-limited"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type["RateLimited"], tuple[str, float]]:
        return type(self), (self.detail, self.retry_after_s)


class Unavailable(ImagestoreError):
    """Base: something that we depend on does not answer now; trying again later may help."""


class Overloaded(Unavailable):
    """The bounded queue for renders is full."""

    name = "overloaded"


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    name = "database-unavailable"


class StorageUnavailable(Unavailable):
    """The store of originals does not answer, or an original that must be there is not."""

    name = "storage-unavailable"


class OriginalMissing(StorageUnavailable):
    """The store answers, and lacks the original."""


class OriginalDamaged(StorageUnavailable):
    """The stored bytes are not those that were put."""


class QueueUnavailable(Unavailable):
    """The queue does not answer."""

    name = "queue-unavailable"


class ProcessingTimeout(ImagestoreError):
    """A transformation passed its wall-clock limit."""

    name = "processing-timeout"


class InsufficientStorage(ImagestoreError):
    """Disk or quota full; nothing half-written stays."""

    name = "insufficient-storage"


class QuotaExceeded(InsufficientStorage):
    """The domain's quota is used up: unlike a full disk that does not pass by itself."""
