"""What the API's description allows, and what it does not, made up by Schemathesis from a fixed seed."""

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.web.conftest import add_user
from tests.web.test_api import give_token

# A made-up file is no picture, so what the description allows is refused all the same.
UNFIT = [positive_data_acceptance]
EXAMPLES = {"POST": 25, "GET": 12}  # of each operation and mode


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_sent_is_answered_as_described(make_site, mode):
    site = make_site(config={"TESTING": False})
    headers = {"Authorization": f"Bearer {give_token(site, add_user(site, 'ada'))}"}
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", site)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == sum(str(rule).startswith("/api/v1/") for rule in site.url_map.iter_rules())
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(
            max_examples=EXAMPLES[operation.method.upper()],
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case):
            case.call_and_validate(headers=headers, excluded_checks=UNFIT)

        check()
