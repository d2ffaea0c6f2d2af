"""The report: one page of HTML about a fit, whole in itself."""

from posterium.report.page import report

__all__ = ["report"]
