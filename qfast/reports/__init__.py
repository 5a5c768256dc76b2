"""Reports: a study as one HTML page that needs no network, opens on a phone and prints.

``study.report("study.html")`` is the short way.
"""

from qfast.reports.files import check_target, write_whole
from qfast.reports.report import render_report, write_report

__all__ = ["check_target", "render_report", "write_report", "write_whole"]
