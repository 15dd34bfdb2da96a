"""The paper's rule, turned round."""

from mada.acquisition import Acquisition, Pool, strategy


@strategy("nearest")
def nearest_to_source_anchors(pool: Pool) -> Acquisition:
    """The opposite of Eq. 5, as Algorithm 1's line 5 has it: the nearest image first."""
    distance, anchor = pool.foreignness()
    return -distance, anchor
