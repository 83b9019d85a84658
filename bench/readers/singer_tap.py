"""/listen_history as a tap of the Singer SDK, as its documentation has it."""

import json
import sys
from pathlib import Path

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator


class EnvelopePaginator(BasePageNumberPaginator):
    def has_more(self, response):
        body = response.json()
        return body["page"] < body["pages"]


class ListenHistory(RESTStream):
    name = "listen_history"
    path = "/listen_history"
    primary_keys = ("user_id", "created_at")
    records_jsonpath = "$.items[*]"
    schema = th.PropertiesList(
        th.Property("user_id", th.IntegerType),
        th.Property("items", th.ArrayType(th.IntegerType)),
        th.Property("created_at", th.DateTimeType),
        th.Property("updated_at", th.DateTimeType),
    ).to_dict()

    @property
    def url_base(self):
        return self.config["url"]

    def get_new_paginator(self):
        return EnvelopePaginator(start_value=1)

    def get_url_params(self, context, next_page_token):
        return {"size": 100, "page": next_page_token or 1}


class TapMooVitamix(Tap):
    name = "tap-moovitamix"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType)).to_dict()

    def discover_streams(self):
        return [ListenHistory(self)]


config = Path(sys.argv[2]) / "tap.json"
config.write_text(json.dumps({"url": sys.argv[1]}))
TapMooVitamix.cli(["--config", str(config)])
