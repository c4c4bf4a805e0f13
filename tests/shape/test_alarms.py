"""Alarms, dashboard and what they look at: held by the template and the code, never seen on AWS."""

import json
import re

import template


def measured() -> set[str]:
    """The names under which our own code counts."""
    found = set()
    for path in [*(template.ROOT / "layers/core/sheaf").rglob("*.py"), *(template.ROOT / "functions").glob("*/app.py")]:
        text = path.read_text()
        if "measured(" in text:
            for counts in re.findall(r"(?:measured\(|counts = )\{(.*?)\}", text, re.DOTALL):
                found |= set(re.findall(r'"(\w+)":', counts))
    return found


def looked_at(alarm: dict) -> set[tuple[str, str]]:
    if "MetricName" in alarm:
        return {(alarm["Namespace"], alarm["MetricName"])}
    metrics = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    return {(each["Namespace"], each["MetricName"]) for each in metrics}


# contract: 143, 144, 145
def test_what_has_to_be_told_is_told() -> None:
    alarms = template.resources("AWS::CloudWatch::Alarm")
    every = set().union(*map(looked_at, alarms.values()))
    wanted = {
        "health failures": ("Sheaf", "unhealthy"),
        "a high error rate": ("Sheaf", "errors"),
        "failed backups, and other jobs": ("Sheaf", "failedJobs"),
        "abuse of rate limits": ("Sheaf", "limited"),
        "response times": ("Sheaf", "ms"),
        "changes that are late": ("AWS/Lambda", "IteratorAge"),
        "jobs that wait": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
    }
    assert {what for what, metric in wanted.items() if metric not in every} == set()


def test_every_dead_letter_queue_has_an_alarm_at_its_first_message() -> None:
    queues = {name for name in template.resources("AWS::SQS::Queue") if name.endswith("DeadQueue")}
    watched = {}
    for alarm in template.resources("AWS::CloudWatch::Alarm").values():
        for dimension in alarm.get("Dimensions", []):
            value = dimension["Value"]
            if isinstance(value, dict) and "Fn::GetAtt" in value:
                place = value["Fn::GetAtt"]
                watched[place.partition(".")[0] if isinstance(place, str) else place[0]] = alarm
    assert queues <= watched.keys()
    for name in queues:
        assert (watched[name]["Threshold"], watched[name]["ComparisonOperator"]) == (0, "GreaterThanThreshold"), name


def test_alarms_and_the_dashboard_look_at_nothing_that_nobody_counts() -> None:
    known = measured()
    assert {"requests", "errors", "limited", "ms", "coldStarts", "unhealthy", "failedJobs"} <= known
    for name, alarm in template.resources("AWS::CloudWatch::Alarm").items():
        assert {metric for space, metric in looked_at(alarm) if space == "Sheaf"} <= known, name
    dashboard = template.resources("AWS::CloudWatch::Dashboard")["Dashboard"]
    board = json.loads(re.sub(r"\$\{\w+(\.\w+|::\w+)?\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    shown = {tuple(metric[:2]) for widget in board["widgets"] for metric in widget["properties"]["metrics"]}
    assert {metric for space, metric in shown if space == "Sheaf"} <= known
    assert {"requests", "errors", "limited", "ms", "unhealthy"} <= {metric for space, metric in shown if space == "Sheaf"}


def test_keys_stay_when_their_stack_goes_and_tables_of_prod_are_protected() -> None:
    for name, resource in template.template()["Resources"].items():
        if resource["Type"] == "AWS::KMS::Key":
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain"), name
        if resource["Type"] == "AWS::DynamoDB::Table":
            assert resource["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}, name
            kept = {"PointInTimeRecoveryEnabled": True} if name != "LimitsTable" else None  # windows of a minute
            assert resource["Properties"].get("PointInTimeRecoverySpecification") == kept, name
