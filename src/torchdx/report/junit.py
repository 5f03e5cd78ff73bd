"""A judged run as JUnit XML, which build servers show: one case a rule."""

from typing import Any
from xml.etree import ElementTree as ET


def as_junit(report: dict[str, Any]) -> str:
    """Found rules are failures, unclear ones skipped; notes pass, with their text as output.

    That torchdx stopped watching by an error of its own is an error, as a case of its own.
    """
    found = {f["code"]: f for f in report["findings"]}
    unclear = {u["code"]: u["because"] for u in report["unclear"]}
    failures = [f for f in report["findings"] if f["severity"] != "note"]
    stopped = report["run"]["failure"]
    skipped = [c for c in report["checked"] if c["outcome"] == "unclear"]
    suite = ET.Element(
        "testsuite",
        name=f"torchdx {report['run']['run']}",
        tests=str(len(report["checked"]) + bool(stopped)),
        failures=str(len(failures)),
        errors=str(int(bool(stopped))),
        skipped=str(len(skipped)),
        time=f"{report['run']['elapsed_s'] or 0:.3f}",
    )
    for rule in report["checked"]:
        case = ET.SubElement(suite, "testcase", classname="torchdx", name=_title(rule))
        finding = found.get(rule["code"])
        if finding is not None:
            _add_finding(case, finding)
        elif rule["outcome"] == "unclear":
            because = unclear.get(rule["code"], "the run was not watched to its end")
            ET.SubElement(case, "skipped", message=_printable(because))
    if stopped:
        case = ET.SubElement(suite, "testcase", classname="torchdx", name="watched to its end")
        ET.SubElement(case, "error", message=_printable(stopped))
    ET.indent(suite)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"
    )


def _title(rule: dict[str, Any]) -> str:
    return f"{rule['code']} {rule['name']}"


def _add_finding(case: ET.Element, finding: dict[str, Any]) -> None:
    place = f"{finding['file']}:{finding['line']}" if finding["file"] else finding["place"]
    body = _printable("\n".join([place, finding["source"] or "", finding["text"]]))
    if finding["severity"] == "note":
        ET.SubElement(case, "system-out").text = body
        return
    failure = ET.SubElement(case, "failure", type=finding["severity"])
    failure.set("message", _printable(finding["text"]))
    failure.text = body


def _printable(text: str) -> str:
    """Less the control characters that XML cannot hold."""
    return "".join(c for c in text if c in "\n\t" or ord(c) >= ord(" "))
