"""The CRDs are made from the models, and the generator refuses what Kubernetes would."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, create_model

import crds
from pggit_operator.api.common import Column, Model, Object, Status


def test_the_files_are_what_the_models_say() -> None:
    for path, text in crds.files():
        assert path.read_text() == text, f"run `make crds`: {path.name}"


class _Pair(Model):
    a: int | None = Field(default=None, gt=0)


def _kind(**fields: tuple[Any, Any]) -> type[Object]:
    spec = create_model("Spec", __base__=Model, **fields)  # type: ignore[call-overload]

    class Thing(Object):
        """A thing."""

        kind_name: ClassVar[str] = "Thing"
        plural: ClassVar[str] = "things"
        short: ClassVar[str] = "th"
        columns: ClassVar[tuple[Column, ...]] = ()

    return create_model("Thing", __base__=Thing, spec=(spec, ...), status=(Status, Status()))


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("has no type", (int | str, Field(max_length=3))),
        ("a number as exclusiveMinimum is not structural", (int, Field(gt=0))),
        ("prefixItems is not structural", (tuple[int, int], Field())),
        ("a string needs maxLength", (str, Field())),
        ("a list needs maxItems", (list[int], Field())),
        ("a map needs maxProperties", (dict[str, int], Field())),
        ("a number loses digits", (float, Field())),
        ("a default inside a list item", (list[_Pair], Field(max_length=3))),
    ],
)
def test_the_generator_refuses(fault: str, field: tuple[Any, Any]) -> None:
    if fault.startswith("a default"):

        class WithDefault(Model):
            on: bool = True

        field = (list[WithDefault], Field(max_length=3))

    with pytest.raises(crds.NotStructural, match=fault):
        crds.schema(_kind(thing=field))


def test_references_nulls_and_constants_are_unfolded() -> None:
    made = crds.schema(_kind(pair=(_Safe | None, None), word=(Literal["only"], ...)))["properties"]["spec"][
        "properties"
    ]

    assert made["pair"] == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert made["word"] == {"type": "string", "enum": ["only"]}


class _Safe(Model):
    a: int | None = None
