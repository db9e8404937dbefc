"""A client of an image server, for programs: `Client`, its values and its errors.

with Client("http://127.0.0.1:8080", key) as client:
    image = client.upload(Path("cat.jpg"), domain="pets")
    print(client.urls.picture(id=image.id, width=300, height=300, fit="cover"))
"""

from imagestore.client.connection import Client
from imagestore.client.problems import (
    Busy,
    ClientError,
    Conflict,
    NotAllowed,
    NotThere,
    Problem,
    Refused,
    ServerFault,
    ServerProblem,
    Unreachable,
)
from imagestore.client.values import Image, Task

__all__ = [
    "Busy",
    "Client",
    "ClientError",
    "Conflict",
    "Image",
    "NotAllowed",
    "NotThere",
    "Problem",
    "Refused",
    "ServerFault",
    "ServerProblem",
    "Task",
    "Unreachable",
]
