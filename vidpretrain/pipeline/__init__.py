"""Videos to a data set: stages with a store that never redoes work, worker processes, the account, packing.

Door: `DataConfig`; `stages.extract_all` and `sources_of`, `pack.pack`, `ledger.Ledger`, `store.Store`,
`workers.map_items`, `provenance.code_version`, `serialize` (each in its module, which imports what it runs).
"""

from vidpretrain.pipeline.config import DataConfig

__all__ = ["DataConfig"]
