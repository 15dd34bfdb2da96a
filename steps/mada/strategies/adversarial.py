"""What the warm-up's discriminator tells from the source."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy


def adversarial_score(source_probability: np.ndarray) -> np.ndarray:
    """E_adv = (1 - f_D) / f_D (Eq. 13), with f_D the probability of *source*, in (0, 1]."""
    probability = np.asarray(source_probability, dtype=np.float64)
    return (1 - probability) / np.maximum(probability, np.finfo(np.float64).tiny)


@strategy("adversarial", source_anchors=False, discriminator=True)
def least_like_source(pool: Pool) -> Acquisition:
    """E_adv of the warm-up's discriminator (Eq. 13).

    The paper writes f_D of features; the discriminator that it trains, and this one, sees maps of
    class probabilities.  f_D is the mean over such a map.
    """
    return adversarial_score(pool.scores["source_probability"]), None
