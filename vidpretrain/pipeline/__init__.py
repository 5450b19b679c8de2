"""Videos to a data set: stages with a store that never redoes work, worker processes, the account, packing.

Door: `DataConfig`, `extract_all`, `pack`, `account`, `Ledger`, `Store`, `code_version`, `serialize`, `map_items`.
"""

from vidpretrain.pipeline.config import DataConfig

__all__ = ["DataConfig"]
