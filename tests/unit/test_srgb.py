"""Which colour profiles are sRGB under another name, so that nothing is converted."""

import struct

import pytest
from PIL import ImageCms

from imagestore.engines.colour import is_srgb, srgb_profile

CURVE = srgb_profile()[srgb_profile().index(b"para") :][:32]


def with_curve(curve: bytes) -> bytes:
    """Our own profile with another curve; behind the end, as the old one's place is too short."""
    profile = srgb_profile()
    at, start = 132, len(profile)
    for number in range(struct.unpack_from(">I", profile, 128)[0]):
        place = at + 12 * number
        if profile[place : place + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            entry = struct.pack(">II", start, len(curve))
            profile = profile[: place + 4] + entry + profile[place + 12 :]
    return profile + curve


def table(count: int, gamma: float | None = None) -> bytes:
    """A curve of `count` values: that of sRGB (IEC 61966-2-1), or a power."""
    values = []
    for number in range(count):
        x = number / (count - 1)
        y = x**gamma if gamma else x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4
        values.append(round(65535 * y))
    return b"curv" + struct.pack(f">II{count}H", 0, count, *values)


@pytest.mark.parametrize("profile", [srgb_profile(), with_curve(table(26)), with_curve(table(1024))])
def test_srgb_by_its_numbers_is_known(profile: bytes) -> None:
    assert is_srgb(profile)


def test_littlecms_own_srgb_is_known() -> None:
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"no profile" * 50,
        with_curve(table(1024, gamma=2.2)),
        with_curve(table(26, gamma=1.8)),
        with_curve(b"curv" + struct.pack(">IIH", 0, 1, 563)),  # gamma 2.2
        with_curve(b"para" + struct.pack(">IHH5i", 0, 3, 0, 2**31 - 1, 2**31 - 1, 0, 0, 0)),
        with_curve(CURVE[:20]),
        # Display P3 has the same curve and other colours.
        srgb_profile().replace(
            struct.pack(">i", round(0.43607 * 65536)), struct.pack(">i", round(0.5151 * 65536))
        ),
        srgb_profile()[:200],
    ],
)
def test_anything_else_is_converted(profile: bytes) -> None:
    assert not is_srgb(profile)
