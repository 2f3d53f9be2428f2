"""What fails in the models and helpers says what it compared, too."""

import pytest

pytest.register_assert_rewrite("tests.properties.living", "tests.properties.asking")
