"""Several pictures from one decode: which of them go together, in which order, from how large a frame.

The original is decoded once, made smaller by a whole number (the mean of blocks of pixels) as far as
the most demanding picture allows, and held; then the pictures are made from it, the largest first,
and before each the held frame is made smaller by a whole number again, or an earlier picture is taken in
its place. So each is resized from enough pixels (`geometry.ENOUGH`, `ENOUGH_OF_MEANS`,
`ENOUGH_OF_RESIZED`), as when it is made alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from imagestore.engines import Batch, Wish
from imagestore.engines.geometry import Plan, check_animation, make_plan
from imagestore.engines.output import Output, choose_output
from imagestore.errors import ImagestoreError
from imagestore.records import Facts, Picture
from imagestore.settings import Encoding

_MAX_FINISHED_PIXELS = 40_000_000
"""Of all frames of all animations that are finished side by side: 160 MB in libvips."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to make, with everything about it settled; `number` is its place among the wishes."""

    number: int
    wish: Wish
    plan: Plan
    output: Output

    @property
    def spare(self) -> int:
        """By which whole number the stored frame may be made smaller before it is resized for this one."""
        return self.plan.spare


Made = tuple[Job, Picture | ImagestoreError]


def prepare(facts: Facts, wish: Wish, encoding: Encoding, number: int = 0) -> Job:
    """Raises:
    InvalidParameter: `crop` lies outside the picture, or an animation would be too large.
    """
    output = choose_output(facts, wish.rendition, encoding)
    job = Job(number, wish, make_plan(facts, wish.rendition), output)
    if job.output.animated:
        check_animation(job.plan, facts.frames)
    return job


def make_all(
    facts: Facts,
    wishes: Sequence[Wish],
    encoding: Encoding,
    make: Callable[[Sequence[Job]], Iterable[Made]],
    *,
    max_held_pixels: int,
) -> Batch:
    """All pictures that can be made, each result in its wish's place.

    `make` decodes once and gives what became of each job, which may be an error. It is given one job
    alone where the frame to hold would have more than `max_held_pixels`. An error that it raises is
    the fate of all of them.
    """
    results: dict[int, Picture | ImagestoreError] = {}
    jobs: list[Job] = []
    for number, wish in enumerate(wishes):
        try:
            jobs.append(prepare(facts, wish, encoding, number))
        except ImagestoreError as error:
            results[number] = error
    decodes = 0
    for group in _groups(jobs, facts, max_held_pixels):
        decodes += 1
        try:
            results |= {job.number: result for job, result in make(group)}
        except ImagestoreError as error:
            results |= {job.number: error for job in group}
    return Batch(tuple(results[number] for number in range(len(wishes))), decodes)


def _groups(jobs: Sequence[Job], facts: Facts, max_held_pixels: int) -> Iterator[list[Job]]:
    """Jobs that share a decode, the one that needs the most pixels first: what may be left out of the file
    for it may be left out for all. Those of one size are side by side."""
    stills, films = [], []
    for job in sorted(jobs, key=lambda job: (job.plan.times, job.plan.resized, job.plan.take)):
        smaller = max(job.spare, job.plan.reduction if facts.format == "jpeg" else 1)
        held = job.plan.file.pixels // smaller**2
        if job.output.animated:
            films.append(job)
        elif held > max_held_pixels:
            yield [job]
        else:
            stills.append(job)
    if stills:
        yield stills
    finished = sum(job.plan.result.pixels for job in films) * facts.frames
    if films and finished <= _MAX_FINISHED_PIXELS:
        yield films
        return
    for job in films:
        yield [job]
