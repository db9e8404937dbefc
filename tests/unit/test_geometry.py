"""Where pixels go, by arithmetic. Expected numbers are worked out by hand from the fit's definition."""

import pytest

from imagestore.engines.geometry import check_animation, make_plan, place_mark, steps
from imagestore.engines.shapes import Box, Size, rescale
from imagestore.errors import InvalidParameter
from imagestore.records import Facts
from imagestore.rendition import MAX_SIDE, Rendition


def plan(width, height, query, *, orientation=1, format="jpeg"):
    return make_plan(Facts(format, width, height, orientation=orientation), Rendition.parse(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("width=300", (300, 200)),
        ("height=300", (450, 300)),
        ("width=299", (299, 199)),  # 299 * 800 / 1200 = 199.33
        ("width=5", (5, 3)),  # 3.33
        ("width=1", (1, 1)),  # 0.67 is half or more
        ("width=300&height=300", (300, 200)),
        ("width=300&height=100", (150, 100)),
        ("width=300&height=300&fit=outside", (450, 300)),
        ("width=300&height=300&fit=cover", (300, 300)),
        ("width=300&height=300&fit=pad", (300, 300)),
        ("width=300&height=300&fit=stretch", (300, 300)),
        ("width=2400", (1200, 800)),
        ("width=2400&enlarge=1", (2400, 1600)),
        ("width=2400&height=2400", (1200, 800)),
        ("width=2400&height=2400&enlarge=1", (2400, 1600)),
        ("width=2400&height=2400&fit=outside", (1200, 800)),
        ("width=2400&height=2400&fit=outside&enlarge=1", (3600, 2400)),
        ("width=2400&height=2400&fit=cover", (800, 800)),
        ("width=1000&height=2000&fit=cover", (400, 800)),
        ("width=2400&height=2400&fit=cover&enlarge=1", (2400, 2400)),
        ("width=2400&height=2400&fit=pad", (2400, 2400)),
        ("width=2400&height=300&fit=stretch", (1200, 300)),
        ("width=2400&height=300&fit=stretch&enlarge=1", (2400, 300)),
        ("rotate=90", (800, 1200)),
        ("width=300&rotate=90", (300, 450)),
        ("crop=100,100,400,200&width=100", (100, 50)),
        ("crop=1100,0,400,200", (100, 200)),
        ("crop=pct:50,50,25,25", (300, 200)),
        ("crop=0,0,400,200&rotate=270&width=100", (100, 200)),
    ],
)
def test_result_has_the_size_that_the_fit_defines(query, expected):
    result = plan(1200, 800, query).result

    assert (result.width, result.height) == expected


def test_result_is_never_longer_than_the_limit():
    own_size = plan(10_000, 5_000, "format=webp").result
    one_side = plan(100, 4_000, "width=4096&enlarge=1").result
    around = plan(100, 400, "width=4096&height=4096&fit=outside&enlarge=1").result

    assert own_size == Size(MAX_SIDE, MAX_SIDE // 2)
    assert one_side == Size(102, MAX_SIDE)
    assert around == Size(MAX_SIDE // 4, MAX_SIDE)


def test_result_is_never_thinner_than_a_pixel():
    assert plan(16_000, 2, "width=100").result == Size(100, 1)


@pytest.mark.parametrize(
    ("gravity", "left", "top"),
    [
        ("center", 75, 0),
        ("west", 0, 0),
        ("northeast", 150, 0),
        ("0.5,0.5", 75, 0),
        ("0,0", 0, 0),
        ("0.5333,1", 90, 0),  # the point is at 240 of 450, and 150 left of it is 90
        ("1,1", 150, 0),
    ],
)
def test_cover_cuts_where_gravity_says(gravity, left, top):
    made = plan(1200, 800, f"width=300&height=300&fit=cover&gravity={gravity}")

    assert made.resized == Size(450, 300)
    assert made.window == Box(left, top, 300, 300)


def test_smart_cover_leaves_the_window_to_the_engine():
    made = plan(1200, 800, "width=300&height=300&fit=cover&gravity=smart")

    assert (made.cut, made.window) == (Size(300, 300), None)


@pytest.mark.parametrize(("gravity", "top"), [("center", 50), ("north", 0), ("south", 100), ("0,0.25", 25)])
def test_pad_lays_the_picture_where_gravity_says(gravity, top):
    made = plan(1200, 800, f"width=300&height=300&fit=pad&gravity={gravity}")

    assert made.pad == Box(0, top, 300, 300)


def test_strips_are_cut_before_they_would_be_resized_to_a_giant():
    made = plan(16_383, 100, "width=300&height=300&fit=cover&enlarge=1")

    assert made.take == Box(8142, 0, 100, 100)
    assert made.resized == Size(300, 300)


def test_crop_outside_the_picture_is_refused():
    with pytest.raises(InvalidParameter, match="at least partly in 1200x800") as refusal:
        plan(1200, 800, "crop=1200,0,10,10")

    assert refusal.value.parameter == "crop"


@pytest.mark.parametrize(
    ("orientation", "take"),
    [
        # The upright picture is 1200 wide and 800 high, and its upper left 100x50 is wanted.
        (1, Box(0, 0, 100, 50)),
        (2, Box(1100, 0, 100, 50)),
        (3, Box(1100, 750, 100, 50)),
        (4, Box(0, 750, 100, 50)),
        (5, Box(0, 0, 50, 100)),
        (6, Box(0, 1100, 50, 100)),
        (7, Box(750, 1100, 50, 100)),
        (8, Box(750, 0, 50, 100)),
    ],
)
def test_crop_counts_on_the_upright_picture(orientation, take):
    made = plan(1200, 800, "crop=0,0,100,50", orientation=orientation)

    assert made.take == take
    assert made.result == Size(100, 50)


@pytest.mark.parametrize(
    ("query", "turn"),
    [("rotate=90", 6), ("rotate=180", 3), ("rotate=270", 8), ("flip=h", 2), ("flip=v", 4), ("flip=hv", 3)],
)
def test_rotations_and_flips_are_exif_orientations(query, turn):
    assert plan(1200, 800, query).turn == turn


def test_turns_are_joined_in_the_order_of_work():
    rotated_then_flipped = plan(1200, 800, "rotate=90&flip=h").turn
    undone = plan(1200, 800, "rotate=270", orientation=6).turn

    assert steps(rotated_then_flipped) == (90, True)
    assert undone == 1


def test_exif_of_heif_files_is_not_used():
    assert plan(1200, 800, "width=300", orientation=6, format="avif").turn == 1


@pytest.mark.parametrize(
    ("width", "target", "times"),
    [(4032, 300, 8), (3240, 300, 8), (3239, 300, 4), (810, 300, 2), (809, 300, 1)],
)
def test_decoders_leave_enough_for_the_real_resize(width, target, times):
    assert plan(width, width, f"width={target}").reduction == times


def test_box_follows_a_picture_that_was_loaded_smaller():
    assert rescale(Box(100, 100, 400, 200), Size(1201, 801), Size(301, 201)) == Box(25, 25, 100, 50)
    assert rescale(Box(1200, 800, 1, 1), Size(1201, 801), Size(151, 101)) == Box(150, 100, 1, 1)


@pytest.mark.parametrize(
    ("position", "box"),
    [
        ("southeast", Box(330, 260, 60, 30)),
        ("northwest", Box(10, 10, 60, 30)),
        ("center", Box(170, 135, 60, 30)),
        ("north", Box(170, 10, 60, 30)),
        ("west", Box(10, 135, 60, 30)),
        ("tile", Box(10, 10, 60, 30)),
    ],
)
def test_marks_keep_their_distance_from_the_edges(position, box):
    assert place_mark(Size(400, 300), Size(60, 30), position, None, 10) == box


def test_marks_are_scaled_by_the_width_of_the_picture():
    assert place_mark(Size(400, 300), Size(60, 30), "northwest", 0.25, 0) == Box(0, 0, 100, 50)


def test_marks_shrink_until_they_fit():
    assert place_mark(Size(40, 300), Size(60, 30), "northwest", None, 10) == Box(10, 10, 20, 10)
    assert place_mark(Size(400, 30), Size(60, 60), "northwest", 1.0, 5) == Box(5, 5, 20, 20)
    assert place_mark(Size(3, 3), Size(60, 60), "southeast", None, 1000) == Box(1, 1, 1, 1)


def test_animations_over_the_limit_are_refused():
    made = plan(10, 10, "width=2000&height=2000&fit=pad", format="gif")

    check_animation(made, 25)
    with pytest.raises(InvalidParameter, match="26 frames of this size have 104 megapixels"):
        check_animation(made, 26)
