"""Manifests and collections as museums publish them, for a server on 127.0.0.1."""

import json

from tests.dataset.server import give

V2, V3 = "http://iiif.io/api/presentation/2/context.json", "http://iiif.io/api/presentation/3/context.json"


def send(document: dict | list, **headers: str):
    """An answer with a document."""
    return give(json.dumps(document).encode(), **headers)


def body3(address: str, service: dict | None = None, size: tuple[int, int] = (48, 64)) -> dict:
    body = {"id": address, "type": "Image", "format": "image/jpeg", "height": size[0], "width": size[1]}
    return body | ({"service": [service]} if service else {})


def manifest3(address: str, bodies: list[dict], **more) -> dict:
    canvases = [
        {
            "id": f"{address}/canvas/{number}",
            "type": "Canvas",
            "height": 48,
            "width": 64,
            "items": [
                {
                    "type": "AnnotationPage",
                    "items": [{"type": "Annotation", "motivation": "painting", "body": body}],
                }
            ],
        }
        for number, body in enumerate(bodies)
    ]
    document = {"@context": V3, "id": address, "type": "Manifest", "label": {"en": ["Untitled"]}, "items": canvases}
    return document | more


def collection3(address: str, members: list[tuple[str, str]], **more) -> dict:
    """members: type and address of each."""
    items = [{"id": member, "type": kind, "label": {"none": ["x"]}} for kind, member in members]
    return {"@context": V3, "id": address, "type": "Collection", "label": {"en": ["All"]}, "items": items} | more


def manifest2(address: str, resources: list[dict], **more) -> dict:
    canvases = [
        {
            "@id": f"{address}/canvas/{number}",
            "@type": "sc:Canvas",
            "label": "front",
            "height": 48,
            "width": 64,
            "images": [{"@type": "oa:Annotation", "motivation": "sc:painting", "resource": resource}],
        }
        for number, resource in enumerate(resources)
    ]
    sequences = [{"@type": "sc:Sequence", "canvases": canvases}]
    document = {"@context": V2, "@id": address, "@type": "sc:Manifest", "label": "Untitled", "sequences": sequences}
    return document | more


def resource2(address: str, service: dict | None = None, size: tuple[int, int] = (48, 64)) -> dict:
    resource = {"@id": address, "@type": "dctypes:Image", "format": "image/jpeg", "height": size[0], "width": size[1]}
    return resource | ({"service": service} if service else {})


def pair3(label: dict | str, value: dict | str) -> dict:
    def in_english(text: dict | str) -> dict:
        return text if isinstance(text, dict) else {"en": [text]}

    return {"label": in_english(label), "value": in_english(value)}
