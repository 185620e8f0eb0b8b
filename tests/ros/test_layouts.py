"""What the layouts for Foxglove and PlotJuggler show is what the node publishes."""

import json
import re
from xml.etree import ElementTree

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from programs import ROOT

FOXGLOVE = json.loads((ROOT / "config" / "foxglove.json").read_text())
PLOTJUGGLER = ElementTree.parse(ROOT / "config" / "plotjuggler.xml").getroot()
METRIC = re.compile(r'/deer_vla/metrics\.status\[:\]\{name=="(\w+)"\}\.values\[:\]\{key=="(\w+)"\}\.value')
FIELD = re.compile(r'/deer_vla/decision\.values\[:\]\{key=="(\w+)"\}\.value')


def paths() -> list[str]:
    """Every message path of the Foxglove layout."""
    return [path["value"] for panel in FOXGLOVE["configById"].values() for path in panel.get("paths", [])]


def leaves(node: str | dict) -> list[str]:
    """Panels in the tree of splits."""
    return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])


@pytest.fixture
def published(pair, pictures, other_pictures) -> tuple[set[str], set[str]]:
    """Series by the names that PlotJuggler makes of a DiagnosticArray, and the names in a decision, at full depth."""
    _, peer = pair(gate__thresholds=[-1.0] * 5)
    heard = peer.hear(DiagnosticArray, "deer_vla/metrics")
    peer.begin("push the button", pictures)
    decision = peer.decide(other_pictures)
    peer.until(lambda: any(s.name == "exit" for m in heard for s in m.status), "the metrics of a step")
    series = {f"/deer_vla/metrics/{s.name}/{pair.key}" for m in heard for s in m.status for pair in s.values}
    return series, set(decision.values)


def test_every_curve_of_the_layouts_is_published(published):
    series, fields = published
    curves = {curve.get("name") for curve in PLOTJUGGLER.iter("curve")}
    assert len(curves) > 20 and curves <= series
    metrics = {f"/deer_vla/metrics/{found[1]}/{found[2]}" for path in paths() if (found := METRIC.fullmatch(path))}
    assert len(metrics) > 20 and metrics <= series
    told = {found[1] for path in paths() if (found := FIELD.fullmatch(path))}
    assert told <= fields and len(metrics) + len(told) == len(paths()), "each path is one of the two"


def test_the_foxglove_layout_places_every_panel_that_it_configures_once():
    placed = leaves(FOXGLOVE["layout"])
    assert sorted(placed) == sorted(FOXGLOVE["configById"])
    kinds = {"Image", "StateTransitions", "DiagnosticSummary", "Plot"}
    assert {panel.split("!")[0] for panel in placed} == kinds


def test_the_plotjuggler_layout_subscribes_to_what_it_plots():
    for splitter in PLOTJUGGLER.iter("DockSplitter"):
        assert int(splitter.get("count")) == len(splitter.get("sizes").split(";")) == len(splitter)
    streamer = PLOTJUGGLER.find("previouslyLoaded_Streamer").get("name")
    plugin = PLOTJUGGLER.find(f"Plugins/plugin[@ID='{streamer}']")
    assert plugin.find("selected_topics").get("value") == "/deer_vla/metrics"
