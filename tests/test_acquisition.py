"""Selection strategies against their definitions, and the order that a score makes."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mada import acquisition
from mada.acquisition import (
    NEED_ANCHORS,
    NEED_DISCRIMINATOR,
    PER_BUDGET,
    Pool,
    load_strategies,
    ranking,
    strategy,
)
from mada.anchors import cluster
from mada.cli import InputError
from mada.covering import furthest_first, masked_pairwise_distances, squared_distances_to
from mada.manifest import active_samples
from sources import registered_strategies
from tiny import STEPS, example

STRATEGIES = load_strategies()
IMAGES, CATEGORIES, BLOCK = 30, 4, 3
IDS = pd.Series([f"{n:02d}" for n in range(IMAGES)])
# What is picked by chance, and what else the seed may change.
DRAWN = {"random", "evenly"}
SEEDED = {*DRAWN, "mada-dual", "target-medoids", "uncertain-medoids"}


def mask(places) -> np.ndarray:
    return np.isin(np.arange(IMAGES), list(places))


def make_pool(
    seed: int = 0,
    masked: bool = False,
    wanted: int = 6,
    taken: tuple[int, ...] = (),
    barred: tuple[int, ...] = (),
    features: np.ndarray | None = None,
    anchors: int = 5,
    **scores,
) -> Pool:
    """A pool of random images, some without some category, some equal to others."""
    rng = np.random.default_rng(7)
    drawn = rng.normal(size=(IMAGES, CATEGORIES, BLOCK)).astype(np.float32)
    drawn[rng.random((IMAGES, CATEGORIES)) < 0.3] = 0
    drawn[:, 0] = rng.normal(size=(IMAGES, BLOCK))
    drawn[5] = drawn[20]
    table = pd.DataFrame(
        {
            "entropy": rng.random(IMAGES).round(1),
            "margin": rng.random(IMAGES).round(1),
            "source_probability": rng.random(IMAGES).round(1).clip(0.1, 0.9),
        }
    ).assign(**scores)
    sources = rng.normal(size=(anchors, CATEGORIES * BLOCK)).astype(np.float32)
    rows = drawn.reshape(IMAGES, CATEGORIES * BLOCK) if features is None else features
    chosen = {"wanted": wanted, "taken": mask(taken), "barred": mask(barred)}
    return Pool(rows, sources, table, CATEGORIES, masked, seed, **chosen)


def pool_for(name: str, **settings) -> Pool:
    """A pool that a strategy takes: the single centroid is one anchor."""
    return make_pool(**({"anchors": 1} if name == "single-centroid" else {}) | settings)


def picks(pool: Pool, score: np.ndarray) -> list[int]:
    """Rows that a score puts first, as many as are wanted."""
    first = ranking(IDS, score, None)["image_id"].head(pool.wanted)
    return [int(name) for name in first]


def squared(a, b, places=None) -> float:
    """Squared distance of two rows, element by element."""
    places = range(len(a)) if places is None else places
    return sum((float(a[j]) - float(b[j])) ** 2 for j in places)


def naive_distance(pool: Pool, anchors: np.ndarray | None = None) -> tuple[list[float], list[int]]:
    """Eq. 5, or its masked relative, element by element."""
    anchors = pool.anchors if anchors is None else anchors
    result, nearest = [], []
    for feature in pool.features:
        present = range(CATEGORIES)
        if pool.masked:
            present = [c for c in present if any(feature[c * BLOCK : (c + 1) * BLOCK])]
        places = [j for c in present for j in range(c * BLOCK, (c + 1) * BLOCK)]
        distances = [
            squared(feature, anchor, places) * CATEGORIES / len(present) for anchor in anchors
        ]
        result.append(min(distances))
        nearest.append(distances.index(min(distances)))
    return result, nearest


def unit_blocks(pool: Pool) -> np.ndarray:
    """Features with each block at unit length, block by block."""
    rows = pool.features.astype(np.float64).copy()
    for row in rows:
        for c in range(CATEGORIES):
            block = row[c * BLOCK : (c + 1) * BLOCK]
            length = math.sqrt(sum(value**2 for value in block))
            if length:
                block /= length
    return rows


@pytest.mark.parametrize("masked", [False, True])
def test_mada_prefers_images_far_from_every_source_anchor(masked):
    pool = make_pool(masked=masked)
    score, anchor = STRATEGIES["mada"](pool)
    expected, nearest = naive_distance(pool)
    np.testing.assert_allclose(score, expected, rtol=1e-4)
    assert list(anchor) == nearest


def test_the_masked_distance_ranks_otherwise_than_the_paper_s():
    full, _ = STRATEGIES["mada"](make_pool())
    masked, _ = STRATEGIES["mada"](make_pool(masked=True))
    assert np.argsort(full).tolist() != np.argsort(masked).tolist()


@pytest.mark.parametrize("masked", [False, True])
def test_nearest_is_the_opposite_order_as_algorithm_1_has_it(masked):
    pool = make_pool(masked=masked)
    score, anchor = STRATEGIES["nearest"](pool)
    expected, nearest = naive_distance(pool)
    np.testing.assert_allclose(score, [-value for value in expected], rtol=1e-4)
    assert list(anchor) == nearest


def test_the_single_centroid_is_mada_with_the_mean_of_the_source(rng):
    source = rng.normal(size=(50, CATEGORIES * BLOCK)).astype(np.float32)
    centroid, _, _ = cluster(source, 1, seed=0)
    pool = make_pool()
    pool = Pool(pool.features, centroid, *list(vars(pool).values())[2:])
    score, anchor = STRATEGIES["single-centroid"](pool)
    mean = [sum(float(row[j]) for row in source) / 50 for j in range(CATEGORIES * BLOCK)]
    np.testing.assert_allclose(score, [squared(row, mean) for row in pool.features], rtol=1e-4)
    assert set(anchor) == {0}


def test_the_single_centroid_refuses_several():
    with pytest.raises(InputError, match="expected one source anchor, found 5"):
        STRATEGIES["single-centroid"](make_pool())


@pytest.mark.parametrize("masked", [False, True])
def test_mada_dual_adds_the_distance_to_as_many_anchors_of_the_target(masked):
    pool = make_pool(masked=masked, seed=2)
    score, anchor = STRATEGIES["mada-dual"](pool)
    target, _, _ = cluster(pool.features, 5, seed=2)
    expected, nearest = naive_distance(pool)
    of_target, _ = naive_distance(pool, target)
    both = [a + b for a, b in zip(expected, of_target, strict=True)]
    np.testing.assert_allclose(score, both, rtol=1e-4)
    assert list(anchor) == nearest


def test_entropy_prefers_the_least_certain_images():
    pool = make_pool()
    score, anchor = STRATEGIES["entropy"](pool)
    assert list(score) == list(pool.scores["entropy"])
    assert anchor is None


def test_margin_prefers_images_whose_best_two_classes_are_close():
    pool = make_pool()
    score, anchor = STRATEGIES["margin"](pool)
    assert list(score) == [-value for value in pool.scores["margin"]]
    assert anchor is None


def test_adversarial_is_the_odds_against_source():
    pool = make_pool()
    score, anchor = STRATEGIES["adversarial"](pool)
    expected = [(1 - f_d) / f_d for f_d in pool.scores["source_probability"]]
    np.testing.assert_allclose(score, expected, rtol=1e-9)
    assert anchor is None


def test_aada_is_entropy_times_the_odds_against_source():
    pool = make_pool()
    score, anchor = STRATEGIES["aada"](pool)
    rows = pool.scores.itertuples()
    expected = [row.entropy * (1 - row.source_probability) / row.source_probability for row in rows]
    np.testing.assert_allclose(score, expected, rtol=1e-9)
    assert anchor is None


def test_images_least_like_source_come_first_and_certain_source_images_last():
    pool = make_pool(source_probability=np.linspace(0, 1, IMAGES))
    score, _ = STRATEGIES["adversarial"](pool)
    assert (np.diff(score) < 0).all()
    assert score[-1] == 0


@pytest.mark.parametrize("name", ["adversarial", "aada"])
@pytest.mark.parametrize("f_d", [0.0, 5e-324, 1e-310, 1e-45, 1e-7])
def test_a_discriminator_that_is_sure_of_target_gives_a_finite_score(name, f_d):
    for kind in (np.float64, np.float32):
        probability = np.full(IMAGES, f_d, dtype=kind)
        pool = make_pool(source_probability=probability, entropy=1.0)
        score, _ = STRATEGIES[name](pool)
        assert np.isfinite(score).all()
        assert (score > 1e6).all()


def test_all_has_no_preference():
    score, anchor = STRATEGIES["all"](make_pool())
    assert len(score) == IMAGES
    assert len(set(score)) == 1
    assert anchor is None


def test_random_gives_every_image_a_rank_of_its_own():
    score, anchor = STRATEGIES["random"](make_pool())
    assert len(set(score)) == IMAGES
    assert anchor is None


def test_random_makes_every_order_equally_likely():
    draws = 3000
    orders = [np.argsort(STRATEGIES["random"](make_pool(seed=n))[0]) for n in range(draws)]
    seen = Counter(tuple(order[order < 3]) for order in orders)
    assert len(seen) == 6
    # Each of 6 orders is binomial with p = 1/6; five standard deviations either side.
    spread = 5 * math.sqrt(draws / 6 * 5 / 6)
    assert all(abs(times - draws / 6) < spread for times in seen.values())


SETS = [{}, {"taken": (3, 20), "barred": (0, 5, 11)}, {"wanted": 1}, {"wanted": IMAGES}]
LATER_BARRED = {"barred": range(18, IMAGES)}
RAMP = np.arange(IMAGES, dtype=np.float32)[:, None] * np.eye(1, CATEGORIES * BLOCK, dtype="f4")
INTEGERS = np.random.default_rng(3).integers(0, 3, (IMAGES, CATEGORIES * BLOCK)).astype(np.float32)


def naive_furthest_first(pool: Pool, distances, start=None) -> dict[int, float]:
    """Picks and the distance at which each was picked, from that to a set."""
    chosen = list(np.flatnonzero(pool.taken))
    found = {}
    for turn in range(pool.wanted):
        left = distances(chosen)
        free = [n for n in range(IMAGES) if n not in chosen and not pool.barred[n]]
        pick = max(free, key=lambda n: (left[n], -n))
        if turn == 0 and start is not None and not pool.taken.any():
            pick = start
        chosen.append(pick)
        found[pick] = left[pick]
    return found


def test_of_images_equally_far_but_for_rounding_the_first_is_picked():
    """A product of float32 rows rounds by the place of a row: equal images differ in its digits."""
    places = np.array([0.0, 9.0, 9.0, 4.0])
    noise = np.array([0.0, 0.0, 1e-6, 0.0])

    def distance_to(image: int) -> np.ndarray:
        return np.abs(places - places[image]) + noise

    free = np.ones(4, dtype=bool)
    for rounding, first in ((1e-5, 1), (0.0, 2)):
        score = furthest_first(places + noise, distance_to, 3, free, rounding)
        order = np.argsort(-score, kind="stable").tolist()
        assert order == [first, 3, 0, 3 - first]


def test_equal_images_are_equally_far_within_the_rounding(rng):
    rows = rng.normal(size=(201, 4864)).astype(np.float32)
    rows = np.concatenate([rows, rows])
    for categories in (None, 19):
        distance_to, rounding = squared_distances_to(rows, categories)
        for image in (0, 200, 401):
            distances = distance_to(image)
            assert np.abs(distances[:201] - distances[201:]).max() <= rounding
            assert rounding < 1e-5 * distances.max()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("settings", SETS)
@pytest.mark.parametrize("features", [None, INTEGERS])
def test_mada_greedy_makes_an_anchor_of_each_pick(masked, settings, features):
    pool = make_pool(masked=masked, features=features, **settings)
    score, _ = STRATEGIES["mada-greedy"](pool)

    def distances(chosen):
        return naive_distance(pool, np.concatenate([pool.anchors, pool.features[chosen]]))[0]

    expected = naive_furthest_first(pool, distances)
    assert picks(pool, score) == list(expected)
    np.testing.assert_allclose(score[list(expected)], list(expected.values()), rtol=1e-4, atol=1e-5)


def test_mada_greedy_begins_as_mada():
    greedy = make_pool(wanted=1)
    for pool in (greedy, make_pool(wanted=1, masked=True)):
        first = ranking(IDS, *STRATEGIES["mada-greedy"](pool)).iloc[0]
        pd.testing.assert_series_equal(first, ranking(IDS, *STRATEGIES["mada"](pool)).iloc[0])


@pytest.mark.parametrize("settings", [*SETS, LATER_BARRED])
@pytest.mark.parametrize("features", [None, INTEGERS, RAMP])
def test_coreset_takes_the_image_furthest_from_its_picks(settings, features):
    pool = make_pool(features=features, **settings)
    score, anchor = STRATEGIES["coreset"](pool)
    rows = pool.features.astype(np.float64)
    mean = [sum(row[j] for row in rows) / IMAGES for j in range(CATEGORIES * BLOCK)]
    free = [n for n in range(IMAGES) if not pool.barred[n]]
    start = min(free, key=lambda n: squared(rows[n], mean))

    def distances(chosen):
        return [min([squared(row, rows[n]) for n in chosen], default=0) for row in rows]

    expected = naive_furthest_first(pool, distances, start)
    assert picks(pool, score) == list(expected)
    assert anchor is None


def naive_cover(pool: Pool, apart, weights, distance=None) -> dict[int, float]:
    """Picks and how far each brought the weighted sum of distances down."""
    far = max(max(row) for row in apart)

    def cost(chosen):
        total = 0.0
        for i in range(IMAGES):
            others = [far if distance is None else distance[i]]
            total += weights[i] * min(others + [apart[i][j] for j in chosen])
        return total

    chosen, found = list(np.flatnonzero(pool.taken)), {}
    for _ in range(pool.wanted):
        free = [n for n in range(IMAGES) if n not in chosen and not pool.barred[n]]
        falls = {n: cost(chosen) - cost([*chosen, n]) for n in free}
        pick = max(free, key=lambda n: (round(falls[n], 4), -n))
        chosen.append(pick)
        found[pick] = falls[pick]
    return found


def naive_apart(rows: np.ndarray) -> list[list[float]]:
    return [[math.sqrt(squared(a, b)) for b in rows] for a in rows]


def naive_masked_apart(rows: np.ndarray) -> list[list[float]]:
    """Distances over the categories that both of two images have."""
    result = np.zeros((IMAGES, IMAGES))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            blocks = [range(c * BLOCK, (c + 1) * BLOCK) for c in range(CATEGORIES)]
            shared = [s for s in blocks if any(a[k] for k in s) and any(b[k] for k in s)]
            total = sum(squared(a, b, s) for s in shared)
            result[i, j] = 2 * CATEGORIES if not shared else total * CATEGORIES / len(shared)
    return np.sqrt(result).tolist()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["target-cover", "foreign-cover", "masked-cover", "mada-cover"])
@pytest.mark.parametrize("settings", SETS[:3])
def test_covers_bring_the_pool_nearest_to_the_set_with_every_pick(name, settings, masked):
    pool = make_pool(masked=masked, **settings)
    score, anchor = STRATEGIES[name](pool)
    # Distances to anchors stand beside those between images, which count all categories.
    foreign, nearest = naive_distance(make_pool(**settings) if name == "mada-cover" else pool)
    weights = foreign if name in ("foreign-cover", "masked-cover") else [1.0] * IMAGES
    apart = naive_apart(pool.features)
    if name == "masked-cover":
        apart = naive_masked_apart(unit_blocks(pool))
    from_anchors = [math.sqrt(value) for value in foreign] if name == "mada-cover" else None
    expected = naive_cover(pool, apart, weights, from_anchors)
    assert picks(pool, score) == list(expected)
    np.testing.assert_allclose(score[list(expected)], list(expected.values()), rtol=1e-3)
    assert anchor is None if name == "target-cover" else list(anchor) == nearest


def test_images_without_a_common_category_are_as_far_apart_as_unlike_ones():
    features = np.zeros((IMAGES, CATEGORIES * BLOCK), dtype=np.float32)
    features[:15, 0] = features[15:, BLOCK] = 1  # category 0 or category 1, never both
    pool = make_pool(features=features, wanted=2)
    assert sorted(n // 15 for n in picks(pool, STRATEGIES["masked-cover"](pool)[0])) == [0, 1]
    apart = masked_pairwise_distances(features, CATEGORIES)
    expected = naive_masked_apart(features)
    np.testing.assert_allclose(apart, expected, rtol=1e-6)
    assert apart[0, 15] == pytest.approx(math.sqrt(2 * CATEGORIES))


@pytest.mark.parametrize("name", ["coreset", "mada-greedy", "target-cover", "mada-cover"])
def test_picks_for_a_small_budget_are_the_first_of_a_larger_one(name):
    pools = [make_pool(wanted=count) for count in (4, 9)]
    few, many = (picks(pool, STRATEGIES[name](pool)[0]) for pool in pools)
    assert many[:4] == few


def weighted_mean(rows: np.ndarray, weights) -> list[float]:
    total = sum(weights)
    columns = range(rows.shape[1])
    return [sum(w * row[j] for w, row in zip(weights, rows, strict=True)) / total for j in columns]


def test_one_medoid_is_the_image_nearest_to_the_mean_of_unit_blocks():
    pool = make_pool(wanted=1)
    rows = unit_blocks(pool)
    alike, entropy = [1.0] * IMAGES, list(pool.scores["entropy"])
    for name, weights in (("target-medoids", alike), ("uncertain-medoids", entropy)):
        mean = weighted_mean(rows, weights)
        distances = [squared(row, mean) for row in rows]
        score, _ = STRATEGIES[name](pool)
        assert picks(pool, score) == [distances.index(min(distances))]


@pytest.mark.parametrize("name", ["target-medoids", "uncertain-medoids"])
def test_medoids_are_the_images_nearest_to_the_anchors_of_the_pool(name):
    pool = make_pool(wanted=6, seed=1)
    rows = unit_blocks(pool)
    weights = pool.scores["entropy"].to_numpy() if name == "uncertain-medoids" else None
    anchors, _, _ = cluster(np.float32(rows), 6, seed=1, restarts=1, weights=weights)
    members = {k: [] for k in range(6)}
    for n, row in enumerate(rows):
        distances = [squared(row, anchor) for anchor in anchors]
        members[distances.index(min(distances))].append((min(distances), n))
    # Two images are equally far from their mean: the one of lower id.
    expected = {
        min(found, key=lambda pair: (round(pair[0], 5), pair[1]))[1]: len(found)
        for found in members.values()
    }
    score, _ = STRATEGIES[name](pool)
    assert {n: score[n] for n in picks(pool, score)} == expected


def three_groups() -> np.ndarray:
    """Ten images of one direction, twelve of another and eight of a third; lengths vary."""
    directions = np.eye(CATEGORIES * BLOCK, dtype=np.float32)[[0, 1, 2]].repeat([10, 12, 8], axis=0)
    tilt = np.abs(np.arange(IMAGES) - np.repeat([4, 15, 25], [10, 12, 8]))  # 4, 15, 25 stand midway
    rows = directions + 0.01 * tilt[:, None] * np.eye(CATEGORIES * BLOCK, dtype=np.float32)[1]
    return (rows * np.linspace(1, 9, IMAGES, dtype=np.float32)[:, None]).astype(np.float32)


def test_there_is_one_pick_of_every_mode_of_the_target_the_largest_first():
    pool = make_pool(features=three_groups(), wanted=3)
    for seed in range(10):
        score, _ = STRATEGIES["target-medoids"](make_pool(seed, features=pool.features, wanted=3))
        found = picks(pool, score)
        if sorted(score[found]) == [8, 10, 12]:
            break
    assert score[found].tolist() == [12, 10, 8]
    assert [np.searchsorted([10, 22], n, side="right") for n in found] == [1, 0, 2]


def test_a_medoid_stands_for_all_images_of_its_cluster_those_that_may_not_be_picked_too():
    features = three_groups()
    for seed in range(10):
        score, _ = STRATEGIES["target-medoids"](make_pool(seed, features=features, wanted=3))
        barred = make_pool(seed, features=features, wanted=3, barred=range(10, 20))
        if sorted(score[picks(barred, score)]) == [8, 10, 12]:
            break
    score, _ = STRATEGIES["target-medoids"](barred)
    assert score[picks(barred, score)].tolist() == [12, 10, 8]
    assert picks(barred, score)[0] in (20, 21)


def test_where_a_cluster_has_none_to_pick_a_second_of_the_largest_makes_up_for_it():
    features = three_groups()
    for seed in range(10):
        pool = make_pool(seed, features=features, wanted=3, barred=range(22, IMAGES))
        score, _ = STRATEGIES["target-medoids"](pool)
        _, own, _ = cluster(np.float32(unit_blocks(pool)), 3, seed=seed, restarts=1)
        if sorted(np.bincount(own)) == [8, 10, 12]:
            break
    assert [np.searchsorted([10, 22], n, side="right") for n in picks(pool, score)] == [1, 0, 1]


def test_where_every_image_is_certain_all_weigh_alike():
    scores, _ = STRATEGIES["uncertain-medoids"](make_pool(entropy=0.0))
    alike, _ = STRATEGIES["target-medoids"](make_pool())
    assert scores.tolist() == alike.tolist()


def test_labelled_images_stand_for_their_cluster():
    features = three_groups()
    for seed in range(10):
        pool = make_pool(seed, features=features, wanted=1, taken=(2, 27))
        score, _ = STRATEGIES["target-medoids"](pool)
        _, own, _ = cluster(np.float32(unit_blocks(pool)), 3, seed=seed, restarts=1)
        if sorted(np.bincount(own)) == [8, 10, 12]:
            break
    (found,) = picks(pool, score)
    assert 10 <= found < 22
    assert score[found] == 12


def test_evenly_leaves_equal_gaps_from_any_start():
    starts = set()
    for seed in range(60):
        for wanted in (7, 9):
            pool = make_pool(seed, wanted=wanted, barred=(0, 13))
            score, anchor = STRATEGIES["evenly"](pool)
            places = np.searchsorted(np.flatnonzero(pool.free), sorted(picks(pool, score)))
            gaps = np.diff([*places, places[0] + 28])
            assert set(gaps) == ({4} if wanted == 7 else {3, 4})
            assert anchor is None
            starts |= {int(places[0])} if wanted == 7 else set()
    assert starts == {0, 1, 2, 3}


def test_the_first_picks_of_evenly_are_spread_too():
    for seed in range(10):
        pool = make_pool(seed, wanted=8)
        score, _ = STRATEGIES["evenly"](pool)
        places = picks(pool, score)
        for first in (1, 2, 4):
            early = sorted(places[:first])
            gaps = np.diff([*early, early[0] + IMAGES])
            assert abs(gaps - IMAGES / first).max() < 1
    score, _ = STRATEGIES["evenly"](make_pool(0, wanted=1))
    assert (score > 0).sum() == 1


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("wanted", [1, 6, 20])
def test_every_strategy_fills_the_budget_exactly_and_heeds_both_lists(name, wanted):
    exclude, include = IDS[[0, 5, 11, 29]], IDS[[3, 20]]
    pool = pool_for(name, wanted=wanted, taken=(3, 20), barred=(0, 5, 11, 29))
    table = ranking(IDS, *STRATEGIES[name](pool))
    samples = active_samples(table, wanted + 2, list(exclude), list(include))["image_id"]
    assert len(samples) == samples.nunique() == wanted + 2
    assert set(include) <= set(samples)
    assert not set(exclude) & set(samples)
    if name in PER_BUDGET:  # what was chosen stands first, and nothing else among it
        free = [n for n in table["image_id"] if n not in set(include) | set(exclude)]
        assert table["image_id"].tolist()[:wanted] == free[:wanted]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_may_take_the_whole_pool(name):
    table = ranking(IDS, *STRATEGIES[name](pool_for(name, wanted=IMAGES)))
    assert sorted(table["image_id"]) == IDS.tolist()


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - DRAWN))
def test_images_that_are_all_alike_go_by_id(name):
    alike = {"entropy": 0.5, "margin": 0.5, "source_probability": 0.5}
    pool = pool_for(name, features=np.ones((IMAGES, CATEGORIES * BLOCK), np.float32), **alike)
    score, _ = STRATEGIES[name](pool)
    assert picks(pool, score) == list(range(6))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_repeats_itself_for_the_same_seed(name):
    first, again = (
        STRATEGIES[name](pool_for(name, seed=3)),
        STRATEGIES[name](pool_for(name, seed=3)),
    )
    assert np.asarray(first[0]).tobytes() == np.asarray(again[0]).tobytes()
    assert (first[1] is None) == (again[1] is None)
    if first[1] is not None:
        assert np.array_equal(first[1], again[1])


def test_the_seed_changes_what_is_drawn_and_nothing_else():
    changed = {
        name
        for name, score in STRATEGIES.items()
        if not np.array_equal(score(pool_for(name, seed=1))[0], score(pool_for(name, seed=2))[0])
    }
    assert changed == SEEDED


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_what_needs_a_discriminator_says_so(name):
    score, _ = STRATEGIES[name](pool_for(name, source_probability=np.nan))
    assert np.isfinite(score).all() == (name not in NEED_DISCRIMINATOR)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_no_strategy_changes_what_it_looks_at(name):
    pool, untouched = (pool_for(name, taken=(1,), barred=(2,)) for _ in range(2))
    STRATEGIES[name](pool)
    for attribute in ("features", "anchors", "taken", "barred"):
        assert np.array_equal(getattr(pool, attribute), getattr(untouched, attribute))
    assert pool.scores.equals(untouched.scores)


@pytest.fixture
def registry(monkeypatch):
    """Registrations that are forgotten after the test."""
    monkeypatch.setattr(acquisition, "STRATEGIES", dict(STRATEGIES))
    monkeypatch.setattr(acquisition, "PER_BUDGET", set(PER_BUDGET))
    monkeypatch.setattr(acquisition, "NEED_ANCHORS", set(NEED_ANCHORS))
    monkeypatch.setattr(acquisition, "NEED_DISCRIMINATOR", set(NEED_DISCRIMINATOR))


def test_a_new_strategy_is_one_decorated_function(registry):
    @strategy("brightest")
    def brightest(pool: Pool):
        return pool.features.sum(axis=1), None

    pool = make_pool()
    sums = [sum(row) for row in pool.features.astype(np.float64)]
    table = ranking(IDS, *load_strategies()["brightest"](pool))
    assert table["image_id"][0] == IDS[sums.index(max(sums))]
    assert acquisition.STRATEGIES["mada"] is STRATEGIES["mada"]
    assert "brightest" not in acquisition.PER_BUDGET


@pytest.mark.parametrize("name", ["mada", "K10", "my strategy", ""])
def test_a_name_that_is_taken_or_makes_no_path_is_refused(registry, name):
    with pytest.raises(ValueError, match=r"strategy.*: expected"):

        @strategy(name)
        def another(pool: Pool):
            return pool.features.sum(axis=1), None


def test_the_workflow_knows_the_strategies_without_importing_them():
    found = registered_strategies(STEPS)
    assert set(found) == set(STRATEGIES)
    assert {name for name, entry in found.items() if entry.per_budget} == PER_BUDGET
    assert {name for name, entry in found.items() if entry.source_anchors} == NEED_ANCHORS
    assert {n for n, entry in found.items() if entry.discriminator} == NEED_DISCRIMINATOR
    assert all(entry.file.is_file() for entry in found.values())


def test_the_workflow_refuses_a_name_that_is_registered_twice(tmp_path):
    folder = tmp_path / "mada/strategies"
    folder.mkdir(parents=True)
    text = '@strategy("mine", per_budget=True)\ndef mine(pool):\n    raise SystemExit\n'
    (folder / "first.py").write_text(text)
    assert registered_strategies(tmp_path)["mine"].per_budget
    (folder / "second.py").write_text(text)
    with pytest.raises(ValueError, match=r"second.py: strategy 'mine' is that of .*first.py"):
        registered_strategies(tmp_path)


def test_a_strategy_that_is_no_python_is_named_with_the_line(tmp_path):
    folder = tmp_path / "mada/strategies"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text('@strategy("mine")\ndef mine(pool:\n')
    with pytest.raises(SyntaxError) as caught:
        registered_strategies(tmp_path)
    assert (caught.value.filename, caught.value.lineno) == (str(folder / "mine.py"), 2)


def test_rank_starts_from_1_and_higher_scores_come_earlier():
    ids = pd.Series(["a", "b", "c"])
    table = ranking(ids, np.array([0.5, -1.0, 2.0]), np.array([4, 0, 7]))
    assert table.columns.tolist() == ["image_id", "rank", "score", "anchor"]
    assert table["image_id"].tolist() == ["c", "a", "b"]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["score"].tolist() == [2.0, 0.5, -1.0]
    assert table["anchor"].tolist() == [7, 4, 0]


def test_ties_go_by_image_id_whatever_the_order_of_the_rows(rng):
    ids = np.array([f"frame_{n:03d}" for n in range(40)])
    score = rng.integers(0, 3, size=40).astype(np.float64)
    expected = [name for _, name in sorted(zip(-score, ids, strict=True))]
    for _ in range(5):
        order = rng.permutation(40)
        table = ranking(pd.Series(ids[order]), score[order], None)
        assert table["image_id"].tolist() == expected


def test_equal_images_stand_in_order_of_their_ids():
    pool = make_pool()
    ids = pd.Series([f"{IMAGES - n:02d}" for n in range(IMAGES)])
    table = ranking(ids, *STRATEGIES["mada"](pool)).set_index("image_id")
    assert table["score"]["25"] == table["score"]["10"]  # rows 5 and 20
    assert table["rank"]["25"] == table["rank"]["10"] + 1


def test_ids_are_compared_as_text():
    table = ranking(pd.Series(["10", "9", "1"]), np.zeros(3), None)
    assert table["image_id"].tolist() == ["1", "10", "9"]


def test_anchor_is_empty_where_none_applies(tmp_path):
    table = ranking(pd.Series(["a", "b"]), np.array([1.0, 2.0]), None)
    assert table["anchor"].isna().all()
    table.to_csv(tmp_path / "ranking.csv", index=False)
    lines = (tmp_path / "ranking.csv").read_text().splitlines()
    assert lines == ["image_id,rank,score,anchor", "b,1,2.0,", "a,2,1.0,"]


def test_anchors_are_written_as_whole_numbers(tmp_path):
    table = ranking(pd.Series(["a"]), np.array([1.5]), np.array([3]))
    table.to_csv(tmp_path / "ranking.csv", index=False)
    assert (tmp_path / "ranking.csv").read_text().splitlines()[1] == "a,1,1.5,3"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_ranks_every_image_once(name):
    table = ranking(IDS, *STRATEGIES[name](pool_for(name)))
    assert sorted(table["image_id"]) == IDS.tolist()
    assert table["rank"].tolist() == list(range(1, IMAGES + 1))
    assert (np.diff(table["score"].astype(float)) <= 0).all()


def test_the_readmes_own_strategy_passes_the_readmes_own_test(monkeypatch):
    monkeypatch.setattr(acquisition, "STRATEGIES", STRATEGIES.copy())
    monkeypatch.setattr(acquisition, "NEED_ANCHORS", NEED_ANCHORS.copy())
    exec(example("@strategy"), {})
    names = globals() | {"STRATEGIES": acquisition.STRATEGIES}
    exec(example("def test_"), names)
    names["test_images_of_large_features_come_first"]()
    acquisition.STRATEGIES["brightest"] = lambda pool: (-pool.features.sum(axis=1), None)
    with pytest.raises(AssertionError):
        names["test_images_of_large_features_come_first"]()
