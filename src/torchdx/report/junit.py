"""A judged run as JUnit XML, which build servers show: one case a rule."""

from typing import Any
from xml.etree import ElementTree as ET


def as_junit(report: dict[str, Any]) -> str:
    """Found rules are failures, unclear ones skipped; notes pass, with their text as output."""
    found = {f["code"]: f for f in report["findings"]}
    unclear = {u["code"]: u["because"] for u in report["unclear"]}
    failures = [f for f in report["findings"] if f["severity"] != "note"]
    skipped = [c for c in report["checked"] if c["code"] in unclear and c["code"] not in found]
    suite = ET.Element(
        "testsuite",
        name=f"torchdx {report['run']['run']}",
        tests=str(len(report["checked"])),
        failures=str(len(failures)),
        errors="0",
        skipped=str(len(skipped)),
        time=f"{report['run']['elapsed_s'] or 0:.3f}",
    )
    for rule in report["checked"]:
        case = ET.SubElement(suite, "testcase", classname="torchdx", name=_title(rule))
        finding = found.get(rule["code"])
        if finding is not None:
            _add_finding(case, finding)
        elif rule["code"] in unclear:
            ET.SubElement(case, "skipped", message=_printable(unclear[rule["code"]]))
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
