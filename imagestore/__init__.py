"""The storage framework: pictures go in, originals and renditions come out.

Nothing here knows of HTTP servers or of queue workers; `service.ImageStore` is the way in.
"""

__version__ = "0.1.0"
