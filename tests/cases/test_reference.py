"""Each field of a case file and of a plan is described, and the reference pages are made from today's models."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from levada.cases.document import CaseDocument
from levada.cases.forecasting.document import ForecastCaseDocument
from levada.cases.forecasting.reference import forecast_reference
from levada.cases.plan_document import PlanDocument
from levada.cases.reference import reference

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def models(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}.union(*(models(f.annotation) for f in annotation.model_fields.values()))
    return set[type[BaseModel]]().union(*(models(a) for a in get_args(annotation)))


PARTS = {m.__name__: m for m in models(CaseDocument) | models(ForecastCaseDocument)}


@pytest.mark.parametrize("model", [PARTS[name] for name in sorted(PARTS)], ids=sorted(PARTS))
def test_each_field_of_a_case_says_what_it_means(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_each_field_of_a_plan_says_what_it_means() -> None:
    assert [name for name, field in PlanDocument.model_fields.items() if not field.description and name != "name"] == []


@pytest.mark.parametrize("name", ["case.md", "case.schema.json", "forecast-case.md", "forecast-case.schema.json"])
def test_the_reference_is_made_from_todays_models(name: str) -> None:
    pages = reference() | forecast_reference()
    assert (DOCS / name).read_text() == pages[name].rstrip() + "\n", "run `make reference`"


def test_the_schema_takes_what_the_model_takes() -> None:
    schema = json.loads(reference()["case.schema.json"])
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(CaseDocument.model_fields)
    assert sorted(schema["required"]) == ["network", "start", "tariff"]
    assert {"type": "number"} in schema["$defs"]["Tariff"]["anyOf"]
