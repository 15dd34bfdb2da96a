"""Warm-ups: from labelled source and unlabelled target images to M0, by choice of method.

=========  ====================================================================================
none       CE(p_s, y_s): source only
minent     + w mean H(p_t), the entropy of the target's predictions made small
           (Vu et al., CVPR 2019, Eqs. 2-4)
adaptseg   + w BCE(D(p_t), source), while D learns [BCE(D(p_s), source) + BCE(D(p_t), target)] / 2
           of probability maps (Tsai et al., CVPR 2018, Eqs. 1-4, one level); what MADA starts from
advent     the same with D of maps of weighted self-information, -p log p / log C
           (Vu et al., CVPR 2019, section 3.2)
clan       adaptseg with pixel weights λ (1 - cos(p_t, p'_t)) + ε in the target's BCE, of two
           classifiers whose weights' cosine is made small (Luo et al., CVPR 2019, Eqs. 2-8)
=========  ====================================================================================
"""

import copy
from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mada.nn.deeplab import DeepLabV3Plus, resize
from mada.nn.discriminator import self_information
from mada.nn.losses import SOURCE, TARGET, cross_entropy, domain_loss, labelled_pixels
from mada.nn.runtime import Runtime
from mada.nn.updates import Updates

# Luo et al., CVPR 2019, section 4.2.
CLAN_LOCAL, CLAN_EPSILON, CLAN_DISCREPANCY = 40.0, 0.4, 0.01


@dataclass(frozen=True)
class Method:
    """What a warm-up does beyond cross-entropy on the source."""

    entropy: bool = False
    view: str | None = None  # of the discriminator, if there is one
    two_classifiers: bool = False

    @property
    def sees_target(self) -> bool:
        return self.entropy or self.view is not None


METHODS = {
    "none": Method(),
    "minent": Method(entropy=True),
    "adaptseg": Method(view="probabilities"),
    "advent": Method(view="self-information"),
    "clan": Method(view="probabilities", two_classifiers=True),
}


def mean_entropy(probabilities: Tensor) -> Tensor:
    """Mean over pixels of -1/log(C) · sum_c p_c log p_c, a scalar in [0, 1], of maps (B, C, H, W).

    Vu et al., CVPR 2019, Eqs. 2 and 3, with a mean over pixels for their sum.
    """
    return self_information(probabilities).sum(dim=1).mean()


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """1 - cosine of two classifiers' probabilities, (B, H, W), of their logits (B, C, H, W).

    Luo et al., CVPR 2019, section 3.3: what their local alignment score is made of.
    """
    return 1 - F.cosine_similarity(first.softmax(dim=1), second.softmax(dim=1), dim=1)


def weighted_domain_loss(verdict: Tensor, domain: float, weight: Tensor) -> Tensor:
    """Mean of weight · binary cross-entropy, the verdict (B, 1, h, w) resized to weight (B, H, W).

    Luo et al., CVPR 2019, Eq. 5.
    """
    size = weight.shape[1:]
    verdict = F.interpolate(verdict.float(), size, mode="bilinear", align_corners=False)
    target = torch.full_like(verdict, domain)
    return F.binary_cross_entropy_with_logits(verdict, target, weight=weight.unsqueeze(1))


def classifier_similarity(first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Cosine of the two classifiers' weights, a scalar (Luo et al., CVPR 2019, Eq. 4)."""
    return F.cosine_similarity(first.weight.flatten(), second.weight.flatten(), dim=0)


class Warmup:
    """The losses of one iteration of a warm-up.

    Parameters
    ----------
    method : Method
    runtime : Runtime
    update : Updates
    network : DeepLabV3Plus
        Placed on its device.
    model : nn.Module
        The same network as it is called: compiled, or spread over processes.
    discriminator : nn.Module or None
        Where the method has one.
    target_weight : float
        Of the entropy, or of the discriminator's being fooled.
    """

    def __init__(
        self,
        method: Method,
        runtime: Runtime,
        update: Updates,
        network: DeepLabV3Plus,
        model: nn.Module,
        discriminator: nn.Module | None,
        target_weight: float,
    ):
        self.method, self.runtime, self.update = method, runtime, update
        self.network, self.model, self.target_weight = network, model, target_weight
        self.discriminator = discriminator
        self.judges = runtime.parallel(discriminator) if discriminator else None
        self.second = self.seconds = None
        if method.two_classifiers:
            classifier = network.classifier
            self.second = runtime.place(
                nn.Conv2d(classifier.in_channels, classifier.out_channels, 1)
            )
            self.seconds = runtime.parallel(self.second)

    def parameters(self) -> list[nn.Parameter]:
        """What the segmentation loss trains."""
        return [*self.network.parameters(), *(self.second.parameters() if self.second else ())]

    def stateful(self) -> dict[str, nn.Module]:
        """What changes in training, beside optimisers."""
        parts = {
            "network": self.network,
            "discriminator": self.discriminator,
            "second classifier": self.second,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def finished(self) -> DeepLabV3Plus:
        """The network to score and to keep: the sum of two linear classifiers is one of them."""
        if self.second is None:
            return self.network
        network = copy.deepcopy(self.network)
        with torch.no_grad():
            network.classifier.weight += self.second.weight
            network.classifier.bias += self.second.bias
        return network

    def _logits(self, x: Tensor) -> list[Tensor]:
        """Logits (B, C, H, W) of each classifier."""
        with self.runtime.autocast():
            logits, features, _ = self.model(self.runtime.images(x))
            if self.seconds is None:
                return [logits]
            scores = self.seconds(features)
        return [logits, resize(scores, logits.shape[2:])]

    def _domain_loss(self, verdict: Tensor, domain: float, weight: Tensor | None) -> Tensor:
        """Share of a discriminator's loss; ``weight`` (B, H, W) where pixels count differently."""
        if weight is None:
            return domain_loss(verdict, domain) / self.update.pieces
        return weighted_domain_loss(verdict, domain, weight) / self.update.pieces

    def gather_gradients(self, source, target=None) -> dict[str, Tensor]:
        """Run one iteration's passes; return this process's share of each loss.

        Parameters
        ----------
        source : (images, labels, inside)
            Of the source, as ``TrainingCrops.batches`` yields them.
        target : (images, labels, inside) or None
            Of the target, its labels not looked at; None where the iteration is the source's alone.
        """
        losses = defaultdict(int)
        maps_s = self._source_passes(source, losses, final=target is None)
        if target is not None:
            maps_t, weights = self._target_passes(target, losses)
            if self.discriminator is not None:
                self._discriminator_passes(maps_s, maps_t, weights, losses)
        return losses

    def _source_passes(self, source, losses: dict, final: bool) -> Tensor:
        """Cross-entropy on the source; return its probability maps."""
        images, labels, _ = source
        labels = self.runtime.labels(labels)
        pixels = self.runtime.total(labelled_pixels(labels))
        maps = []
        for x, y in self.update.passes(self.model, images, labels, final=final):
            logits = self._logits(x)
            share = sum(cross_entropy(each, y, pixels) for each in logits)
            losses["segmentation"] += share.detach()
            if self.second is not None:
                similarity = classifier_similarity(self.network.classifier, self.second)
                similarity = similarity / self.update.pieces
                losses["similarity"] += similarity.detach()
                share = share + CLAN_DISCREPANCY * similarity
            self.update.backward(share)
            maps.append(sum(logits).detach().softmax(dim=1))
        return torch.cat(maps)

    def _target_passes(self, target, losses: dict) -> tuple[Tensor, Tensor | None]:
        """What the target's predictions are to change by; return their maps and pixel weights."""
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
        maps, weights = [], []
        for (x,) in self.update.passes(self.model, target[0], final=True):
            logits = self._logits(x)
            probabilities = sum(logits).softmax(dim=1)
            weight = None
            if self.method.two_classifiers:
                weight = CLAN_LOCAL * disagreement(*logits).detach() + CLAN_EPSILON
                weights.append(weight)
            if self.method.entropy:
                name, share = "entropy", mean_entropy(probabilities) / self.update.pieces
            else:
                with self.runtime.autocast():
                    verdict = self.discriminator(probabilities)
                name, share = "adversarial", self._domain_loss(verdict, SOURCE, weight)
            losses[name] += share.detach()
            self.update.backward(self.target_weight * share)
            maps.append(probabilities.detach())
        if self.discriminator is not None:
            self.discriminator.requires_grad_(True)
        return torch.cat(maps), torch.cat(weights) if weights else None

    def _discriminator_passes(self, maps_s, maps_t, weights, losses: dict) -> None:
        """Each domain's maps against their own name."""
        weights = [] if weights is None else [weights]
        for map_s, map_t, *weight in self.update.passes(
            self.judges, maps_s, maps_t, *weights, final=True
        ):
            with self.runtime.autocast():
                # Both domains in one pass: processes average gradients once a pass.
                verdict_s, verdict_t = self.judges(torch.cat([map_s, map_t])).chunk(2)
            share_s = self._domain_loss(verdict_s, SOURCE, None)
            share_t = self._domain_loss(verdict_t, TARGET, *(weight or [None]))
            losses["discriminator"] += self.update.backward((share_s + share_t) / 2)
