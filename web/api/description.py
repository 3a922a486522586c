"""The page that documents the API for programmers."""

from flask import Blueprint, current_app, render_template, request

blueprint = Blueprint("api", __name__)

EXAMPLES = {
    "search": "-F picture=@photograph.jpg {site}/api/v1/search",
    "query": "{site}/api/v1/queries/Xq3oSy4QdRr0bQkWmJt5aA",
    "new_batch": "-F name='Store room 3' -F files=@photographs.zip {site}/api/v1/batches",
    "more_photographs": "-F files=@1.jpg -F files=@2.jpg {site}/api/v1/batches/Xq3oSy4QdRr0bQkWmJt5aA/photographs",
    "batches": "{site}/api/v1/batches",
    "batch": "{site}/api/v1/batches/Xq3oSy4QdRr0bQkWmJt5aA",
    "batch_answers": "'{site}/api/v1/batches/Xq3oSy4QdRr0bQkWmJt5aA/answers?page_size=100'",
    "works": "'{site}/api/v1/works?q=portrait&page_size=10'",
    "work": "{site}/api/v1/works/17",
    "similar": "'{site}/api/v1/works/17/similar?count=5'",
}


@blueprint.get("/api")
def description() -> str:
    """The documentation of the API."""
    spec = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    site = request.url_root.rstrip("/")
    examples = {
        name: f'curl -H "Authorization: Bearer $TOKEN" {rest}'.format(site=site) for name, rest in EXAMPLES.items()
    }
    return render_template("api/description.html", spec=spec, operations=_operations(spec), examples=examples)


def _operations(spec: dict) -> list[dict]:
    """Every operation of an OpenAPI description with its method, path and parameters."""
    return [
        {
            "method": method.upper(),
            "path": path,
            **operation,
            "parameters": [*item.get("parameters", []), *operation.get("parameters", [])],
        }
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
