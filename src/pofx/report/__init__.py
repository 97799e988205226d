"""A comparison as a web page in one file, as a terminal table, and as sentences."""

from .html import write_report
from .pictures import Pictures
from .summary import summary_table, winners

__all__ = ["Pictures", "summary_table", "winners", "write_report"]
