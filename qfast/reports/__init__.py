"""Reports: a study as one HTML page that needs no network, opens on a phone and prints.

``study.report("study.html")`` is the short way.
"""

from qfast.reports.report import check_target, render_report, write_report, write_whole

__all__ = ["check_target", "render_report", "write_report", "write_whole"]
