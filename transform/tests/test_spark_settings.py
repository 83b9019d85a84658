"""What a session of Spark is told of a store, and what a user may not tell it: no Spark is needed to say it."""

import pytest
from moovitamix_transform.engines.spark.settings import FIXED, of_session, require_allowed
from moovitamix_transform.errors import UsageError
from moovitamix_transform.warehouse import Warehouse

STORE = Warehouse("s3://bucket/warehouse")
VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture(autouse=True)
def _no_store_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def of_s3a(warehouse: Warehouse, given: dict[str, str]) -> dict[str, str]:
    told = of_session("spark://elsewhere:7077", warehouse, given)
    return {name.removeprefix("spark.hadoop.fs.s3a."): told[name] for name in told if "fs.s3a." in name}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, {}, id="amazon"),
        pytest.param({"AWS_DEFAULT_REGION": "eu-west-3"}, {"endpoint.region": "eu-west-3"}, id="a_region"),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "us-east-1"},
            {"endpoint": "http://127.0.0.1:9000", "path.style.access": "true", "endpoint.region": "eu-west-3"},
            id="another_store",
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"},
            {"endpoint": "http://127.0.0.1:9000", "path.style.access": "true"},
            id="another_store_for_s3_alone",
        ),
    ],
)
def test_spark_finds_the_store_that_polars_finds(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: dict[str, str]
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert of_s3a(STORE, {}) == expected
    assert of_s3a(Warehouse("warehouse"), {}) == {}, "a folder is no store"


def test_a_user_may_tell_spark_another_store(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")

    told = of_s3a(STORE, {"spark.hadoop.fs.s3a.endpoint": "http://minio.internal:9000"})

    assert told["endpoint"] == "http://minio.internal:9000"


@pytest.mark.parametrize("name", FIXED)
def test_what_the_rows_depend_on_may_be_said_but_not_changed(name: str):
    require_allowed({name: FIXED[name].upper()}, "build --conf")

    with pytest.raises(UsageError, match=rf"build --conf: expected {name}={FIXED[name]}, .* got 'another'"):
        require_allowed({name: "another"}, "build --conf")


def test_functions_of_an_older_spark_are_refused():
    with pytest.raises(UsageError, match=r"got spark\.sql\.legacy\.sizeOfNull: Spark's functions would"):
        require_allowed({"spark.sql.legacy.sizeOfNull": "true"}, "spark-defaults.conf")
