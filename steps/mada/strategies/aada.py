"""Active adversarial domain adaptation (Su et al., WACV 2020)."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.strategies.adversarial import adversarial_score


@strategy("aada", source_anchors=False, discriminator=True)
def uncertain_and_unlike_source(pool: Pool) -> Acquisition:
    """E_AADA = E_ent · E_adv (Eq. 14)."""
    entropy = pool.scores["entropy"].to_numpy()
    return entropy * adversarial_score(pool.scores["source_probability"]), None
