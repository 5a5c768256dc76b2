"""A cluster: the same bits, little on the wire, and what happens when parts of it die."""


import pytest

from faults.runs import same_everywhere

distributed = pytest.importorskip("distributed")

NEVER = 10**6  # episodes that nobody waits for


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1",
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def test_the_same_bits(cluster):
    same_everywhere(cluster.get_executor())
