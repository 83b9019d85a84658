"""What the judgement of a record says: each base table has one per record, and dataframely is not needed to read it."""

import narwhals as nw

IS_GOOD = nw.col("broken_rules").list.len() == 0
