"""The table of figures: nothing that is counted is left out, and no two are called the same."""

from __future__ import annotations

from msgspec.structs import fields, replace

from coordinator.endpoints.prometheus import exposition
from coordinator.monitor import status
from coordinator.monitor.figures import COLUMNS, FIGURES, metrics, placed
from coordinator.monitor.snapshot import Snapshot

ELSEWHERE = {
    *("now", "started"),  # the moment; `wall` and `elapsed` are shown
    *("recent_drops", "recent_send_failures", "recent_restarts"),  # make warnings
    "interrupted",  # one of the fates
    *("cores", "packet_limit", "bit_limit"),  # bounds of the scan: the bottleneck is judged by them
    "most_processes",  # so are commands by this one
    *("cooldown_left", "sweep_wait"),  # are in the time that remains
}
"""Numbers that are no figures of their own."""


def test_every_number_of_a_snapshot_is_in_the_table() -> None:
    numbers = {each.name for each in fields(Snapshot) if each.type in (int, float, int | None, float | None)}
    table = {figure.name for figure in FIGURES}
    assert numbers - table == ELSEWHERE
    assert all(hasattr(Snapshot(), name) for name in table)


def test_each_is_called_by_one_name() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    for attribute in ("word", "column", "place"):
        given = [getattr(figure, attribute) for figure in FIGURES if getattr(figure, attribute)]
        assert len(set(given)) == len(given)
    samples = [(figure.metric, figure.label) for figure in FIGURES if figure.metric]
    assert len(set(samples)) == len(samples)
    texts = {(figure.metric, figure.text) for figure in FIGURES if figure.metric}
    assert len(texts) == len({metric for metric, _ in texts})  # figures of one metric share its text


def test_a_figure_is_the_same_wherever_it_is_shown() -> None:
    """Each number is another one; it has to be found in every form under the name of the table."""
    whole = {each.name: 1000 + at for at, each in enumerate(fields(Snapshot)) if each.type is int}
    snapshot = replace(Snapshot(), **whole)  # type: ignore[arg-type]
    metadata, cells = (
        placed(snapshot),
        dict(zip(status.CSV_HEADER.split(","), status.csv_row(snapshot).split(","), strict=True)),
    )
    samples = {
        (metric.name, next(iter(labels.items()), None)): value
        for metric in metrics(snapshot)
        for labels, value in metric.samples
    }
    text = exposition(snapshot)
    for figure in FIGURES:
        number = whole.get(figure.name)
        if number is None:
            continue
        if figure.column:
            assert cells[figure.column] == str(number)
        if figure.place:
            section, _, name = figure.place.partition(".")
            assert metadata[section][name] == number
        if figure.metric:
            label, _, value = figure.label.partition("=")
            assert samples[figure.metric, (label, value) if label else None] == number
            assert f" {number}\n" in text
    assert list(cells)[: len(COLUMNS)] == list(COLUMNS)


def test_what_is_not_known_is_no_metric_with_a_value() -> None:
    found = {metric.name: metric for metric in metrics(Snapshot())}
    assert found["inputs_expected"].samples == []
    assert found["rate_limit"].samples == []
    assert {value for _, value in found["outcomes_total"].samples} == {0}
    assert found["inputs_total"].kind == "counter"
