"""Data: where they come from, how they are split and transformed, and the order in which training sees them."""

from .catalogue import DATASETS, DataSet
from .data import Data, Rows, Split
from .load import load_data
from .stream import Stream

__all__ = ["DATASETS", "Data", "DataSet", "Rows", "Split", "Stream", "load_data"]
