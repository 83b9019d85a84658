"""/listen_history with dlt's rest_api source: `dlt_reader.py URL FOLDER iterate|parquet`."""

import sys

import dlt
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source

url, folder, mode = sys.argv[1:4]
source = rest_api_source(
    {
        "client": {
            "base_url": f"{url}/",
            "paginator": PageNumberPaginator(base_page=1, page_param="page", total_path="pages"),
        },
        "resource_defaults": {"endpoint": {"params": {"size": 100}, "data_selector": "items"}},
        "resources": [{"name": "listen_history", "endpoint": {"path": "listen_history"}}],
    }
)
if mode == "iterate":
    print(sum(1 for _ in source.listen_history))
else:
    pipeline = dlt.pipeline(
        "moovitamix",
        destination=dlt.destinations.filesystem(f"file://{folder}/tables"),
        dataset_name="moovitamix",
        pipelines_dir=f"{folder}/state",
    )
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
    print(pipeline.last_trace.last_normalize_info.row_counts)
