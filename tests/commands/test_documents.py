"""What the documents say about client and command is run as it stands there."""

import re

from imagestore.client import Client
from tests.commands.conftest import Served
from tests.origin import answer
from tests.pictures import photo
from tests.servers import ROOT


def test_the_code_of_the_client_s_document_runs(served: Served) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/client.md").read_text(), re.DOTALL | re.MULTILINE
    )
    served.origin.paths["/document.jpg"] = answer(body=photo(40, 30))
    image = served.client.upload(photo(800, 600), domain="document").image
    names = {"key": served.env["API_KEY"], "urls": [served.origin.url("/document.jpg")]}

    for example in examples:
        code = example.replace("http://127.0.0.1:8080", served.stack.address).replace(
            "docs/", f"{ROOT}/docs/"
        )
        exec(compile(code, "docs/client.md", "exec"), names)

    rendered = names["template"].render(image=image)  # type: ignore[attr-defined]  # the document made it
    assert rendered.count("w,") == 4
    assert f"id={image.id}&amp;width=800&amp;height=533&amp;fit=cover&amp;format=auto 800w" in rendered
    assert isinstance(names["client"], Client)
