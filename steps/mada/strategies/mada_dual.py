"""The authors' later rule, with anchors of both domains."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.anchors import cluster


@strategy("mada-dual")
def furthest_from_the_anchors_of_both_domains(pool: Pool) -> Acquisition:
    """Distance to the nearest source anchor plus that to the target's own: the furthest first.

    min_k ||F(x) - A^s_k||^2 + min_v ||F(x) - A^t_v||^2, where A^s are the source anchors and A^t
    anchors of the target, as many, from its features by the same warm-up.  Both terms count
    alike, and images far from both are picked, as in the selection script that the authors
    released with MADAv2 (Ning et al., TPAMI 2023).  The first term looks for what the source
    lacks, the second for what is rare in the target itself.
    """
    source, anchor = pool.foreignness()
    count = min(len(pool.anchors), len(pool.features))
    target_anchors, _, _ = cluster(pool.features, count, pool.seed)
    target, _ = pool.nearest(target_anchors)
    return source + target, anchor
