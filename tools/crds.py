"""Writes the CRDs from the pydantic models: crds/*.yaml, and the chart's copy. `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pggit_operator.api import GROUP, KINDS, VERSION, Object

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {ROOT / "crds": "", ROOT / "charts" / "pggit-operator" / "templates" / "crds": "crds.install"}
MARK = "# Made by `make crds` from operator/pggit_operator/api. Do not edit.\n"

Schema = dict[str, Any]


class NotStructural(Exception):
    """A model says something that a CRD cannot."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the files are not what would be written")
    check = parser.parse_args().check
    stale = [path for path, text in files() if not path.exists() or path.read_text() != text]
    wanted = {path for path, _ in files()}
    extra = [path for folder in FOLDERS for path in sorted(folder.glob("*.yaml")) if path not in wanted]
    if check:
        if stale or extra:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale + extra)
            sys.exit(f"these CRDs are not what the models say; run `make crds`: {names}")
        return
    for path in extra:
        path.unlink()
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its text."""
    for kind in KINDS:
        text = yaml.safe_dump(crd(kind), sort_keys=False, width=120, allow_unicode=True)
        for folder, switch in FOLDERS.items():
            path = folder / f"{GROUP}_{kind.plural}.yaml"
            yield path, MARK + (_templated(text, switch) if switch else text)


def _templated(text: str, switch: str) -> str:
    """The chart's copy: installed when wanted, kept when the chart goes, so that no object is lost with it."""
    kept = text.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1)
    return f"{{{{- if .Values.{switch} }}}}\n{kept}{{{{- end }}}}\n"


def crd(kind: type[Object]) -> Schema:
    """The CustomResourceDefinition of one kind."""
    names = {
        "kind": kind.kind_name,
        "listKind": f"{kind.kind_name}List",
        "plural": kind.plural,
        "singular": kind.kind_name.lower(),
        "shortNames": [kind.short],
        "categories": ["pggit"],
    }
    columns = [
        {"name": c.name, "type": c.type, "jsonPath": c.path} | ({"priority": c.priority} if c.priority else {})
        for c in kind.columns
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def schema(kind: type[Object]) -> Schema:
    """The structural schema of one kind."""
    said = kind.model_json_schema(by_alias=True)
    fields = {name: _structural(said["properties"][name], said["$defs"]) for name in ("spec", "status")}
    fields["status"]["default"] = {"observedGeneration": -1}
    whole: Schema = {
        "type": "object",
        "description": kind.__doc__,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **fields,
        },
    }
    if kind.object_rules:
        whole["x-kubernetes-validations"] = [{"rule": rule, "message": text} for rule, text in kind.object_rules]
    for path, fault in _faults(fields, kind.kind_name):
        raise NotStructural(f"{path}: {fault}")
    return whole


def _structural(node: Schema, defs: Schema) -> Schema:
    """The same schema without references, titles, unions with null, constants and defaults of nothing."""
    node = dict(node)
    if "$ref" in node:
        node = {**defs[node.pop("$ref").rpartition("/")[2]], **node}
    if "anyOf" in node:
        real = [one for one in node["anyOf"] if one != {"type": "null"}]
        if len(real) == 1:
            del node["anyOf"]
            return _structural({**real[0], **node}, defs)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("default", ...) in (None, [], {}):
        del node["default"]
    node.pop("title", None)
    if node.get("type") == "object" and "properties" not in node and isinstance(node.get("additionalProperties"), dict):
        for size in ("min", "max"):
            if f"{size}Items" in node:
                node[f"{size}Properties"] = node.pop(f"{size}Items")
    for name, child in list(node.items()):
        if name == "properties":
            node[name] = {field: _structural(of, defs) for field, of in child.items()}
        elif name in ("items", "additionalProperties") and isinstance(child, dict):
            node[name] = _structural(child, defs)
    return dict(sorted(node.items(), key=lambda pair: _ORDER.get(pair[0], 50)))


_ORDER = {
    "type": 0,
    "format": 1,
    "description": 2,
    "enum": 3,
    "default": 4,
    "required": 90,
    "properties": 91,
    "items": 92,
}


def _faults(node: Any, path: str, in_list: bool = False) -> Iterator[tuple[str, str]]:
    """What a CRD must not say, or must and does not."""
    if not isinstance(node, dict):
        return
    if path.count(".") and "type" not in node:
        yield path, "has no type"
    for word in ("$ref", "anyOf", "prefixItems", "const", "oneOf", "allOf"):
        if word in node:
            yield path, f"{word} is not structural"
    for word in ("exclusiveMinimum", "exclusiveMaximum"):
        if not isinstance(node.get(word, False), bool):
            yield path, f"a number as {word} is not structural"
    if "default" in node and node["default"] is None:
        yield path, "default: null is not structural"
    if in_list and "default" in node:
        yield path, "a default inside a list item shows as eternal drift in GitOps tools"
    if node.get("type") == "number":
        yield path, "a number loses digits on the way; use a string"
    if node.get("type") == "string" and "enum" not in node and "maxLength" not in node:
        yield path, "a string needs maxLength"
    if node.get("type") == "array" and "maxItems" not in node:
        yield path, "a list needs maxItems"
    if isinstance(node.get("additionalProperties"), dict) and "maxProperties" not in node:
        yield path, "a map needs maxProperties"
    children = {**node.get("properties", {}), "*": node.get("additionalProperties")} if "type" in node else node
    for name, child in children.items():
        if isinstance(child, dict):
            yield from _faults(child, f"{path}.{name}", in_list)
    if isinstance(node.get("items"), dict):
        yield from _faults(node["items"], f"{path}[]", True)


if __name__ == "__main__":
    main()
