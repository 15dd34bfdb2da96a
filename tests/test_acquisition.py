"""Selection strategies against their definitions, and the order that a score makes."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mada import acquisition
from mada.acquisition import STRATEGIES, Pool, ranking, strategy

IMAGES, CATEGORIES, BLOCK = 30, 4, 3


def make_pool(seed: int = 0, categories: int | None = None, **scores) -> Pool:
    """A pool of random images, some without some category, some equal to others."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(IMAGES, CATEGORIES, BLOCK)).astype(np.float32)
    features[rng.random((IMAGES, CATEGORIES)) < 0.3] = 0
    features[:, 0] = rng.normal(size=(IMAGES, BLOCK))
    features[5] = features[20]
    table = pd.DataFrame(
        {
            "entropy": rng.random(IMAGES).round(1),
            "margin": rng.random(IMAGES).round(1),
            "source_probability": rng.random(IMAGES).clip(0.01, 0.99),
        }
    ).assign(**scores)
    anchors = rng.normal(size=(5, CATEGORIES * BLOCK)).astype(np.float32)
    features = features.reshape(IMAGES, CATEGORIES * BLOCK)
    return Pool(features, anchors, table, categories, np.random.default_rng(seed))


def naive_distance(pool: Pool) -> tuple[list[float], list[int]]:
    """Eq. 5, or with categories its masked relative, element by element."""
    categories = pool.categories or 1
    block = pool.features.shape[1] // categories
    result, nearest = [], []
    for feature in pool.features.astype(np.float64):
        present = range(categories)
        if pool.categories:
            present = [c for c in present if any(feature[c * block : (c + 1) * block])]
        distances = []
        for anchor in pool.anchors.astype(np.float64):
            places = [j for c in present for j in range(c * block, (c + 1) * block)]
            total = sum((feature[j] - anchor[j]) ** 2 for j in places)
            distances.append(total * categories / len(present))
        result.append(min(distances))
        nearest.append(distances.index(min(distances)))
    return result, nearest


@pytest.mark.parametrize("categories", [None, CATEGORIES])
def test_mada_prefers_images_far_from_every_source_anchor(categories):
    pool = make_pool(categories=categories)
    score, anchor = STRATEGIES["mada"](pool)
    expected, nearest = naive_distance(pool)
    np.testing.assert_allclose(score, expected, rtol=1e-4)
    assert list(anchor) == nearest


def test_the_masked_distance_ranks_otherwise_than_the_paper_s():
    full, _ = STRATEGIES["mada"](make_pool())
    masked, _ = STRATEGIES["mada"](make_pool(categories=CATEGORIES))
    assert np.argsort(full).tolist() != np.argsort(masked).tolist()


@pytest.mark.parametrize("categories", [None, CATEGORIES])
def test_nearest_is_the_opposite_order_as_algorithm_1_has_it(categories):
    pool = make_pool(categories=categories)
    score, anchor = STRATEGIES["nearest"](pool)
    expected, nearest = naive_distance(pool)
    np.testing.assert_allclose(score, [-value for value in expected], rtol=1e-4)
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
    three = make_pool(seed=1)
    pool = Pool(three.features[:3], three.anchors, three.scores[:3], None, three.rng)
    draws = 3000
    seen = Counter(tuple(np.argsort(STRATEGIES["random"](pool)[0])) for _ in range(draws))
    assert len(seen) == 6
    # Each of 6 orders is binomial with p = 1/6; five standard deviations either side.
    spread = 5 * math.sqrt(draws / 6 * 5 / 6)
    assert all(abs(times - draws / 6) < spread for times in seen.values())


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_repeats_itself_for_the_same_seed(name):
    first, again = STRATEGIES[name](make_pool(seed=3)), STRATEGIES[name](make_pool(seed=3))
    assert np.asarray(first[0]).tobytes() == np.asarray(again[0]).tobytes()
    assert (first[1] is None) == (again[1] is None)
    if first[1] is not None:
        assert np.array_equal(first[1], again[1])


def test_only_random_depends_on_the_seed():
    changed = {
        name
        for name, score in STRATEGIES.items()
        if not np.array_equal(score(make_pool(seed=1))[0], score(make_pool(seed=2))[0])
    }
    assert changed == {"random"}


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_no_strategy_changes_what_it_looks_at(name):
    pool, untouched = make_pool(), make_pool()
    STRATEGIES[name](pool)
    assert np.array_equal(pool.features, untouched.features)
    assert np.array_equal(pool.anchors, untouched.anchors)
    assert pool.scores.equals(untouched.scores)


def test_a_new_strategy_is_one_decorated_function(monkeypatch):
    monkeypatch.setattr(acquisition, "STRATEGIES", dict(STRATEGIES))

    @strategy("brightest")
    def brightest(pool: Pool):
        return pool.features.sum(axis=1), None

    pool = make_pool()
    score, anchor = acquisition.STRATEGIES["brightest"](pool)
    ids = pd.Series([f"{n:02d}" for n in range(IMAGES)])
    sums = [sum(row) for row in pool.features.astype(np.float64)]
    assert ranking(ids, score, anchor)["image_id"][0] == f"{sums.index(max(sums)):02d}"
    assert acquisition.STRATEGIES["mada"] is STRATEGIES["mada"]


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
    ids = pd.Series([f"{n:02d}" for n in range(IMAGES)])
    table = ranking(ids, *STRATEGIES[name](make_pool()))
    assert sorted(table["image_id"]) == ids.tolist()
    assert table["rank"].tolist() == list(range(1, IMAGES + 1))
    assert (np.diff(table["score"].astype(float)) <= 0).all()
