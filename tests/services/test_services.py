import copy
import pickle
import random
from datetime import UTC

import pytest

from towns.services import R2, FlyApps, Sandbox, Services, SystemClock, default_services, errors
from towns.services.fly import FlyConfig
from towns.services.fly_apps import FlyAppsClient
from towns.services.r2 import R2Client
from towns.services.sandbox import SandboxClient

from .bucket import CONFIG


def test_it_works() -> None:
    fly: FlyApps = FlyAppsClient(FlyConfig("https://fly.test/v1", "token", "towns"))
    sandbox: Sandbox = SandboxClient()
    r2: R2 = R2Client(CONFIG)
    services = Services(SystemClock(), fly, sandbox, r2, random.Random(1))
    assert services.clock.now().tzinfo is UTC


def test_the_real_ones_are_made_once() -> None:
    assert default_services() is default_services()
    assert isinstance(default_services().fly, FlyAppsClient)


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("Fly has no machine 1."),
        errors.Conflict("The name is taken.", existing_id="148e"),
        errors.RateLimited("Too fast.", retry_after=2.5),
        errors.Misconfigured("GASTOWN_FLY_API_TOKEN is not set."),
    ],
)
def test_errors_survive_a_copy(error: errors.ServiceError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_an_error_says_what_to_do() -> None:
    assert str(errors.RateLimited("Too fast.", retry_after=2.5)) == (
        "Too fast. It may be asked again in 2.5 s."
    )
    assert str(errors.Unavailable("Fly was not reached.")) == (
        "Fly was not reached. Nothing is known about it now; it is looked at again."
    )
