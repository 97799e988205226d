"""A comparison as a web page in one file, as a terminal table, and as sentences."""

from .game import Game, game_of
from .html import write_report
from .pictures import Pictures
from .summary import summary_table, winners

__all__ = ["Game", "Pictures", "game_of", "summary_table", "winners", "write_report"]
