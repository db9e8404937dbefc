"""What tests of base pictures ask of an image store: put, read, count decodes, compare."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from prometheus_client import REGISTRY
from skimage.metrics import structural_similarity

from imagestore.records import ImageRecord
from imagestore.rendition import Rendition
from imagestore.service import ImageStore
from imagestore.writing import Stored


def put(store: ImageStore, body: bytes, folder: Path, dkey: str | None = None) -> ImageRecord:
    return upload(store, body, folder, dkey).record


def upload(store: ImageStore, body: bytes, folder: Path, dkey: str | None = None) -> Stored:
    """Under a name, in the place of what is there."""
    path = folder / "upload"
    path.write_bytes(body)
    with path.open("rb") as stream, store.spool.receive(stream, max_bytes=10**8) as spooled:
        return store.writes.upload(spooled, "d", dkey, None, overwrite=dkey is not None)


def read(store: ImageStore, record: ImageRecord, query: str) -> bytes:
    wanted = store.reads.wanted(record, Rendition.parse(query))
    return store.reads.picture(wanted).picture.body


def decodes(what: str) -> float:
    """Of originals of this format, or of bases."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == "imagestore_decodes_total" and sample.labels["format"] == what
    )


def likeness(one: bytes, other: bytes) -> float:
    a, b = (np.asarray(Image.open(io.BytesIO(body)).convert("L")) for body in (one, other))
    return float(structural_similarity(a, b))
