"""Scores against the official evaluation of Cityscapes, and against a count pixel by pixel."""

import json
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada.labels import CLASS_SETS, VOID, read_label, train_id_table
from mada.metrics import class_iou, confusion_matrix, score_table

# Table 2 of the paper: the 16 classes of SYNTHIA, and the 13 that mIoU* is taken over.
# fmt: off
SIXTEEN = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "sky", "person", "rider", "car", "bus", "motorcycle", "bicycle",
)
# fmt: on
THIRTEEN = [name for name in SIXTEEN if name not in ("wall", "fence", "pole")]
NINETEEN = CLASS_SETS["cityscapes19"].names
EVALUATED = {label.name: label.id for label in CITYSCAPES_LABELS if not label.ignoreInEval}
ALL_IDS = [label.id for label in CITYSCAPES_LABELS if label.id >= 0]
TABLE = train_id_table("cityscapes-ids", "cityscapes19")


def write_pair(
    folder: Path, name: str, truth: np.ndarray, prediction: np.ndarray
) -> tuple[str, str]:
    """Write one image's label ids as the official evaluation wants them."""
    truth_path = folder / f"{name}_gtFine_labelIds.png"
    prediction_path = folder / f"{name}_prediction.png"
    Image.fromarray(truth.astype(np.uint8)).save(truth_path)
    Image.fromarray(prediction.astype(np.uint8)).save(prediction_path)
    return str(truth_path), str(prediction_path)


@pytest.fixture
def evaluate_officially(monkeypatch):
    """The official evaluation of pairs of files, without its instance scores and JSON file."""
    for option, value in (
        ("evalInstLevelScore", False),
        ("evalPixelAccuracy", False),
        ("JSONOutput", False),
        ("quiet", True),
        ("evalLabels", []),
    ):
        monkeypatch.setattr(official.args, option, value)

    def evaluate(pairs: list[tuple[str, str]]) -> dict:
        truths, predictions = zip(*pairs, strict=True)
        return official.evaluateImgLists(list(predictions), list(truths), official.args)

    return evaluate


def evaluate_here(pairs: list[tuple[str, str]], classes: str = "cityscapes19") -> dict:
    names, table = CLASS_SETS[classes].names, train_id_table("cityscapes-ids", classes)
    total = np.zeros((len(names), len(names)), dtype=np.int64)
    for pair in pairs:
        total += confusion_matrix(*(read_label(Path(path), table) for path in pair), len(names))
    return score_table(total, names)


def random_pairs(
    rng: np.random.Generator, folder: Path, true_ids: list[int], predicted_ids: list[int]
) -> list[tuple[str, str]]:
    """Three images of random pixels; about half of the predictions are right."""
    pairs = []
    for n in range(3):
        truth = rng.choice(true_ids, size=(24, 40))
        prediction = rng.choice(predicted_ids, size=truth.shape)
        right = (rng.random(truth.shape) < 0.5) & np.isin(truth, predicted_ids)
        prediction[right] = truth[right]
        pairs.append(write_pair(folder, f"city_00000{n}_000019", truth, prediction))
    return pairs


def assert_same_scores(ours: dict, theirs: dict) -> None:
    for name in ours["iou"]:
        score = theirs["classScores"][name]
        if np.isnan(score):
            assert ours["iou"][name] is None
        else:
            assert ours["iou"][name] == pytest.approx(score, abs=1e-6), name
    assert ours["miou"] == pytest.approx(theirs["averageScoreClasses"], abs=1e-6)


def test_scores_equal_the_official_evaluation(rng, tmp_path, evaluate_officially):
    pairs = random_pairs(rng, tmp_path, ALL_IDS, list(EVALUATED.values()))
    ours, theirs = evaluate_here(pairs), evaluate_officially(pairs)
    void = sum(int((read_label(Path(truth), TABLE) == VOID).sum()) for truth, _ in pairs)
    assert void > 500
    assert 0.2 < theirs["averageScoreClasses"] < 0.8
    assert_same_scores(ours, theirs)


def test_scores_equal_the_official_evaluation_where_classes_are_absent(
    rng, tmp_path, evaluate_officially
):
    nowhere, only_predicted = EVALUATED["train"], EVALUATED["bus"]
    never_predicted = EVALUATED["car"]
    true_ids = [i for i in ALL_IDS if i not in (nowhere, only_predicted)]
    predicted_ids = [i for i in EVALUATED.values() if i not in (nowhere, never_predicted)]
    pairs = random_pairs(rng, tmp_path, true_ids, predicted_ids)
    ours, theirs = evaluate_here(pairs), evaluate_officially(pairs)
    assert_same_scores(ours, theirs)
    assert ours["iou"]["train"] is None  # neither there nor predicted: left out of the mean
    assert ours["iou"]["bus"] == 0  # predicted but absent
    assert ours["iou"]["car"] == 0  # there but never predicted
    assert ours["neither_present_nor_predicted"] == ["train"]
    assert ours["predicted_but_absent"] == ["bus"]


def test_scores_of_16_classes_equal_the_official_evaluation_with_the_others_void(
    rng, tmp_path, evaluate_officially
):
    true_ids = [i for i in ALL_IDS if i != EVALUATED["bus"]]
    predicted_ids = [EVALUATED[name] for name in SIXTEEN]
    pairs = random_pairs(rng, tmp_path, true_ids, predicted_ids)
    ours = evaluate_here(pairs, "cityscapes16")
    for path, _ in pairs:  # for the official evaluation, which knows 19 classes
        truth = np.array(Image.open(path))
        truth[np.isin(truth, [EVALUATED[name] for name in ("terrain", "truck", "train")])] = 0
        Image.fromarray(truth).save(path)
    theirs = evaluate_officially(pairs)
    assert list(ours["iou"]) == list(SIXTEEN)
    assert_same_scores(ours, theirs)
    assert ours["miou_16"] == ours["miou"]
    assert ours["predicted_but_absent"] == ["bus"]
    thirteen = [theirs["classScores"][name] for name in THIRTEEN]
    assert ours["miou_13"] == pytest.approx(np.mean(thirteen), abs=1e-6)


def test_classes_predicted_on_void_pixels_alone_count_as_not_predicted(
    tmp_path, evaluate_officially
):
    truth = np.full((4, 4), EVALUATED["road"])
    prediction = truth.copy()
    truth[0], prediction[0] = 0, EVALUATED["sky"]  # 0: unlabelled
    pairs = [write_pair(tmp_path, "city_000000_000019", truth, prediction)]
    ours = evaluate_here(pairs)
    assert_same_scores(ours, evaluate_officially(pairs))
    assert ours["iou"]["sky"] is None
    assert "sky" in ours["neither_present_nor_predicted"]
    assert ours["miou"] == 1


def test_scores_are_of_all_pixels_together_not_a_mean_over_images(tmp_path, evaluate_officially):
    road, sky = EVALUATED["road"], EVALUATED["sky"]
    right = np.full((10, 10), road)
    wrong = np.full((2, 2), road)
    pairs = [
        write_pair(tmp_path, "city_000000_000019", right, right),
        write_pair(tmp_path, "city_000001_000019", wrong, np.full((2, 2), sky)),
    ]
    ours = evaluate_here(pairs)
    assert_same_scores(ours, evaluate_officially(pairs))
    assert ours["iou"]["road"] == pytest.approx(100 / 104)


def test_confusion_matrix_counts_pixels_by_true_and_predicted_class(rng):
    truth = rng.choice([0, 1, 2, 4, VOID], size=(13, 17)).astype(np.uint8)  # 3 is absent
    prediction = rng.integers(0, 4, size=truth.shape).astype(np.uint8)  # 4 is never predicted
    expected = [[0] * 5 for _ in range(5)]
    for place in np.ndindex(truth.shape):
        if truth[place] != VOID:
            expected[truth[place]][prediction[place]] += 1
    confusion = confusion_matrix(truth, prediction, 5)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == expected
    assert confusion.sum() == (truth != VOID).sum()


def test_class_numbers_do_not_overflow_their_small_integer_type():
    truth = np.full((3, 3), 18, dtype=np.uint8)
    confusion = confusion_matrix(truth, truth, 19)
    assert confusion[18, 18] == 9
    assert confusion.sum() == 9


def test_an_all_void_image_adds_nothing():
    truth = np.full((4, 4), VOID, dtype=np.uint8)
    assert not confusion_matrix(truth, np.zeros_like(truth), 3).any()


def test_truth_and_prediction_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        confusion_matrix(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8), 2)


def test_iou_is_hits_over_the_union(rng):
    confusion = rng.integers(0, 50, size=(6, 6))
    iou = class_iou(confusion)
    for c in range(6):
        hits = confusion[c][c]
        missed = sum(confusion[c][other] for other in range(6) if other != c)
        false = sum(confusion[other][c] for other in range(6) if other != c)
        assert iou[c] == pytest.approx(hits / (hits + missed + false))


def test_absent_and_unpredicted_is_nan_while_predicted_but_absent_is_0():
    iou = class_iou(np.array([[5, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert iou[0] == pytest.approx(5 / 6)
    assert iou[1] == 0
    assert np.isnan(iou[2])
    scores = score_table(np.array([[5, 1, 0], [0, 0, 0], [0, 0, 0]]), ("a", "b", "c"))
    assert scores["miou"] == pytest.approx(5 / 12)
    assert scores["predicted_but_absent"] == ["b"]
    assert scores["neither_present_nor_predicted"] == ["c"]


def test_means_over_19_16_and_13_classes_stand_side_by_side(rng):
    confusion = rng.integers(1, 90, size=(19, 19)) + np.diag(rng.integers(0, 900, size=19))
    scores = score_table(confusion, NINETEEN)
    assert set(THIRTEEN) < set(SIXTEEN) < set(NINETEEN)
    for key, names in (("miou_19", NINETEEN), ("miou_16", SIXTEEN), ("miou_13", THIRTEEN)):
        total = 0.0
        for name in names:
            c = NINETEEN.index(name)
            total += confusion[c, c] / (
                confusion[c].sum() + confusion[:, c].sum() - confusion[c, c]
            )
        assert scores[key] == pytest.approx(total / int(key.removeprefix("miou_")))
    assert scores["miou"] == scores["miou_19"]
    assert len({scores["miou_19"], scores["miou_16"], scores["miou_13"]}) == 3


def test_means_over_classes_that_the_set_lacks_are_not_given(rng):
    sixteen = score_table(rng.integers(1, 9, size=(16, 16)), CLASS_SETS["cityscapes16"].names)
    assert [key for key in sixteen if key.startswith("miou")] == ["miou", "miou_16", "miou_13"]
    assert sixteen["miou"] == sixteen["miou_16"] != sixteen["miou_13"]
    own = score_table(rng.integers(1, 9, size=(3, 3)), ("road", "sky", "tree"))
    assert [key for key in own if key.startswith("miou")] == ["miou"]


def test_subset_means_leave_out_absent_classes_too():
    confusion = np.zeros((19, 19), dtype=np.int64)
    for name, hits, missed in (("road", 3, 1), ("wall", 1, 1), ("train", 1, 3)):
        c = NINETEEN.index(name)
        confusion[c, c], confusion[c, NINETEEN.index("sky")] = hits, missed
    scores = score_table(confusion, NINETEEN)
    # sky is predicted but absent and counts as 0
    assert scores["miou_19"] == pytest.approx((0.75 + 0.5 + 0.25 + 0) / 4)
    assert scores["miou_16"] == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert scores["miou_13"] == pytest.approx((0.75 + 0) / 2)


def test_a_subset_none_of_whose_classes_counts_has_no_mean():
    confusion = np.zeros((19, 19), dtype=np.int64)
    confusion[9, 9] = 5  # terrain, which is of the 19 alone
    scores = score_table(confusion, NINETEEN)
    assert scores["miou"] == scores["miou_19"] == 1
    assert scores["miou_16"] is None and scores["miou_13"] is None


def test_pixel_accuracy_is_the_share_of_labelled_pixels_that_are_right():
    scores = score_table(np.array([[6, 2], [1, 1]]), ("a", "b"))
    assert scores["pixel_accuracy"] == pytest.approx(0.7)


def test_scores_are_plain_values_that_json_takes_and_gives_back(rng):
    confusion = rng.integers(0, 9, size=(19, 19))
    confusion[4] = confusion[:, 4] = 0
    scores = score_table(confusion, NINETEEN)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert scores["confusion"] == confusion.tolist()
