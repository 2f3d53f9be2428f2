from collections.abc import Iterator

import pytest

from towns.services.r2 import R2Client

from .bucket import Bucket, faked_bucket


@pytest.fixture
def faked() -> Iterator[tuple[R2Client, Bucket]]:
    with faked_bucket() as both:
        yield both


@pytest.fixture
def r2(faked: tuple[R2Client, Bucket]) -> R2Client:
    return faked[0]


@pytest.fixture
def bucket(faked: tuple[R2Client, Bucket]) -> Bucket:
    return faked[1]
