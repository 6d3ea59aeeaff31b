"""The table of what was tried and what held, printed at the end of a test session."""

PROPERTY = "reliability"  # of a test's report: [scenario, tries, survived, bit-identical or None]


def pytest_terminal_summary(terminalreporter) -> None:
    rows: dict[str, list] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, row in report.user_properties:
                    if name == PROPERTY:
                        _add(rows, *row)
    if not rows:
        return
    width = max(map(len, rows)) + 2
    terminalreporter.section("reliability")
    terminalreporter.write_line(f"{'scenario':{width}}{'tries':>6}{'survived':>10}{'bit-identical':>15}")
    for scenario, (tries, survived, identical) in sorted(rows.items()):
        shown = "-" if identical is None else identical
        terminalreporter.write_line(f"{scenario:{width}}{tries:>6}{survived:>10}{shown:>15}")


def _add(rows: dict[str, list], scenario: str, tries: int, survived: int, identical: int | None) -> None:
    row = rows.setdefault(scenario, [0, 0, None])
    row[0] += tries
    row[1] += survived
    if identical is not None:
        row[2] = (row[2] or 0) + identical
