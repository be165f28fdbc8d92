import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """More threads fight for the cores: updates would take ten times as long on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield
