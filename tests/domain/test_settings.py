import json
from pathlib import Path

import pytest
from tests.runs.whole import OPERATION, TARIFF

from levada.domain.errors import DocumentError
from levada.domain.settings import DOCUMENT_KINDS, FileContracts, read_document

CONTRACT = {"name": "scada", "file_name": "scada_*.csv", "columns": {"LT1": {"series": "tank.T1.level", "quantity": "level", "unit": "m"}}}


def test_a_misspelt_field_is_an_error_with_its_path() -> None:
    with pytest.raises(DocumentError, match=r"utility, time_zon: Extra inputs are not permitted"):
        read_document("utility", {"name": "Serra", "time_zon": "Europe/Lisbon"})


def test_a_unit_that_does_not_fit_names_the_tag_and_the_units_that_do() -> None:
    body = {"contracts": [{**CONTRACT, "columns": {"LT1": {"series": "tank.T1.level", "quantity": "level", "unit": "kW"}}}]}
    with pytest.raises(DocumentError, match=r"files, contracts\[0\]\.columns\.LT1: .*unit 'kW' does not measure level; use one of m, cm"):
        read_document("files", body)


def test_two_tags_may_not_feed_one_series() -> None:
    column = CONTRACT["columns"]["LT1"]  # type: ignore[index]
    with pytest.raises(DocumentError, match="tags 'LT1' and 'LT2' both feed series 'tank.T1.level'"):
        read_document("files", {"contracts": [{**CONTRACT, "columns": {"LT1": column, "LT2": column}}]})


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(DocumentError, match="'tarif' is none of utility, files, tariff, operation, timetable"):
        read_document("tarif", {})


def test_each_kind_has_a_json_schema_whose_fields_are_described_or_plain() -> None:
    for kind, model in DOCUMENT_KINDS.items():
        assert model.model_json_schema()["additionalProperties"] is False, kind


def test_a_document_written_and_read_is_the_same() -> None:
    document = read_document("files", {"contracts": [CONTRACT]})
    assert isinstance(document, FileContracts)
    assert read_document("files", document.model_dump(mode="json")) == document


@pytest.mark.parametrize(("kind", "changes"), [("operation", OPERATION), ("tariff", TARIFF)])
def test_a_document_that_states_everything_is_the_same_after_it_was_stored(kind: str, changes: dict[str, object]) -> None:
    tiny = json.loads((Path(__file__).parents[1] / "system" / "tiny" / f"{kind}.json").read_text())
    document = read_document(kind, tiny | changes)
    stored = document.model_dump(mode="json")
    assert read_document(kind, json.loads(json.dumps(stored))) == document
    assert type(document).model_validate_json(document.model_dump_json()) == document


def test_spans_and_durations_are_stored_in_the_words_in_which_they_are_written() -> None:
    pump = {"min_on": "1h30min", "outages": [{"from": "08:00", "to": "24:00"}, {"from": "2026-03-29T08:00:00", "to": "2026-03-29T09:00:00+00:00"}]}
    document = read_document("operation", {"network": "0" * 64, "zones": {"z": {"flow_series": "zone.z.flow", "junctions": ["J"]}}, **OPERATION, "pumps": {"P": pump}})
    stored = document.model_dump(mode="json")["pumps"]["P"]
    assert stored["min_on"] == "90min"
    assert stored["outages"] == [{"from": "08:00", "to": "24:00"}, {"from": "2026-03-29T08:00:00", "to": "2026-03-29T09:00:00Z"}]


def test_a_document_from_before_there_was_more_to_state_still_holds() -> None:
    for kind in DOCUMENT_KINDS:
        read_document(kind, json.loads((Path(__file__).parents[1] / "system" / "tiny" / f"{kind}.json").read_text()))
