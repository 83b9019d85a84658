"""Nothing that can be sent makes the API answer with a server error, or a status its document does not name."""

import schemathesis
from hypothesis import HealthCheck, settings
from moovitamix_api.app import create_app
from moovitamix_api.settings import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

schema = schemathesis.openapi.from_dict(create_app(Settings(size=0, listens=0)).openapi())
# Not the response's schema: the client's document calls instants "date-time", which RFC 3339 wants a zone for.
DESCRIBED = [content_type_conformance, status_code_conformance]


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_the_answer_is_a_described_one(case: schemathesis.Case, api_url: str):
    answer = case.call(base_url=api_url, allow_redirects=False)

    # "/" redirects, which the client's document does not say.
    checks = [not_a_server_error] if case.path == "/" else [not_a_server_error, *DESCRIBED]
    case.validate_response(answer, checks=checks)
