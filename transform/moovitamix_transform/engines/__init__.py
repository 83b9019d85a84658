"""Where a table's rows are computed: on this machine by Polars, or on a cluster by Spark, from the same models."""
