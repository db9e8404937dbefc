"""A client of an image server, for programs.

with Client("http://127.0.0.1:8080", key) as client:
    image = client.upload(Path("cat.jpg"), domain="pets").image
    print(client.urls.picture(image, width=300, height=300, fit="cover"))

    task = client.tasks.submit(Download("https://example.org/dog.jpg", domain="pets"))
    print(client.tasks.wait(task).flag)
"""

from imagestore.client.connection import Client, Reading
from imagestore.client.markup import Markup, picture_tag
from imagestore.client.naming import Picture
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
from imagestore.client.responsive import sizes, srcset, srcset_by_density
from imagestore.client.tasks import Download, Rejected, Submitted, Tasks, Unfinished
from imagestore.client.urls import Sign, Urls, Wish
from imagestore.client.values import Image, Stored, Task

__all__ = [
    "Busy",
    "Client",
    "ClientError",
    "Conflict",
    "Download",
    "Image",
    "Markup",
    "NotAllowed",
    "NotThere",
    "Picture",
    "Problem",
    "Reading",
    "Refused",
    "Rejected",
    "ServerFault",
    "ServerProblem",
    "Sign",
    "Stored",
    "Submitted",
    "Task",
    "Tasks",
    "Unfinished",
    "Unreachable",
    "Urls",
    "Wish",
    "picture_tag",
    "sizes",
    "srcset",
    "srcset_by_density",
]
