"""One interface for every kind of model."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from listening import LABELS, RATE, cnn_gru, fusion, mini_vgg, music
from pytorch_lightning import Trainer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from genre.classical.model import ClassicalModel, load_classical
from genre.data.clips import ClipSpec
from genre.errors import CheckpointError
from genre.features.clips import at_rate
from genre.features.handcrafted import FEATURE_NAMES, FEATURES_VERSION, handcrafted
from genre.inference import inputs
from genre.inference.inputs import ClipInputs, Needs, key_of
from genre.inference.predictor import ClassicalPredictor, DeepPredictor, Ensemble, load_predictor
from genre.models.registry import load_model


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return ClipSpec(clip_sec=1.0, sample_rate=RATE).cut(music(5.0))[0]


@pytest.mark.parametrize("make", [mini_vgg, fusion, cnn_gru])
def test_probabilities_are_those_of_model_and_front_end(make, clips: np.ndarray) -> None:
    predictor = make()
    model = predictor.model
    spectrogram = predictor.frontend.to_float(torch.from_numpy(predictor.frontend.compute(clips, RATE)))[:, None]
    features = torch.from_numpy(handcrafted(at_rate(clips, RATE, 22050)))
    with torch.no_grad():
        expected = torch.softmax(model(spectrogram, features).double() / model.temperature, dim=-1)
    found = predictor.probabilities(clips)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.std(axis=0).max() > 0.004  # the clips do differ
    assert predictor.labels == LABELS


@pytest.mark.parametrize("make", [mini_vgg, fusion])
def test_a_clip_has_its_probabilities_whatever_stands_beside_it(make, clips: np.ndarray) -> None:
    predictor = make()
    alone = np.concatenate([predictor.probabilities(clip[np.newaxis]) for clip in clips])
    np.testing.assert_allclose(predictor.probabilities(clips), alone, atol=1e-6)


def test_features_are_computed_only_for_those_who_look_at_them(monkeypatch, clips: np.ndarray) -> None:
    assert (mini_vgg().needs.features, fusion().needs.features, cnn_gru().needs.features) == (False, True, False)
    asked: list[str] = []
    extract = inputs.extract
    monkeypatch.setattr(inputs, "extract", lambda *arguments: asked.append("extract") or extract(*arguments))
    monkeypatch.setattr(inputs, "handcrafted", lambda *arguments: asked.append("handcrafted"))
    mini_vgg().probabilities(clips)
    assert asked == []
    fusion().probabilities(clips)
    assert asked == ["extract"]


def test_ensemble_is_the_mean_and_computes_each_input_once(monkeypatch, clips: np.ndarray) -> None:
    members = [mini_vgg(seed=1), mini_vgg(seed=2), cnn_gru(seed=3)]
    ensemble = Ensemble(members)
    expected = np.mean([member.probabilities(clips) for member in members], axis=0)
    computed = []
    kind = type(members[0].frontend)
    compute = kind.compute
    monkeypatch.setattr(kind, "compute", lambda *arguments: computed.append(1) or compute(*arguments))
    np.testing.assert_allclose(ensemble.probabilities(clips), expected, atol=1e-12)
    assert len(computed) == 1


def test_ensemble_puts_labels_in_one_order(clips: np.ndarray) -> None:
    first, second = mini_vgg(seed=1), mini_vgg(seed=1, labels=("metal", "blues", "jazz"))
    swapped = second.probabilities(clips)[:, [1, 2, 0]]
    expected = (first.probabilities(clips) + swapped) / 2
    np.testing.assert_allclose(Ensemble([first, second]).probabilities(clips), expected, atol=1e-12)


def test_ensemble_is_the_same_in_any_order() -> None:
    members = [
        mini_vgg(seed=1),
        mini_vgg(seed=2, labels=("metal", "blues", "jazz")),
        cnn_gru(seed=3),
    ]
    members[0].clips = ClipSpec(1.0, None, "drop", RATE)
    members[1].clips = ClipSpec(1.0, 0.25, "pad", RATE)
    members[2].clips = ClipSpec(1.00001, 0.5, "repeat", RATE)
    ensembles = [Ensemble(order) for order in itertools.permutations(members)]
    assert {ensemble.clips for ensemble in ensembles} == {ClipSpec(1.0, 0.25, "repeat", RATE)}
    assert {ensemble.labels for ensemble in ensembles} == {LABELS}
    clips = ensembles[0].clips.cut(music(2.5))[0]
    for ensemble in ensembles[1:]:
        np.testing.assert_allclose(ensemble.probabilities(clips), ensembles[0].probabilities(clips), atol=1e-12)


@pytest.mark.parametrize(("rules", "kept"), [(("drop", "drop"), 0), (("drop", "pad"), 1), (("pad", "drop"), 1)])
def test_ensemble_leaves_out_short_tracks_only_if_all_members_do(rules: tuple[str, str], kept: int) -> None:
    members = [mini_vgg(), mini_vgg()]
    for member, short in zip(members, rules, strict=True):
        member.clips = ClipSpec(1.0, None, short, RATE)
    assert len(Ensemble(members).clips.cut(music(0.5))[0]) == kept


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"labels": ("blues", "jazz", "polka")}, "know other genres"),
        ({"clip_sec": 2.0}, "listen to other clips (1 s at 8000 Hz; 2 s at 8000 Hz)"),
        ({"rate": 16000}, "listen to other clips (1 s at 8000 Hz; 1 s at 16000 Hz)"),
    ],
)
def test_models_that_cannot_be_averaged(change: dict, hint: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Ensemble([mini_vgg(), mini_vgg(**change)])
    assert hint in str(caught.value)


def test_needs_add_up() -> None:
    one, other = mini_vgg(), mini_vgg(rate=16000)
    needs = one.needs | other.needs | Needs(features=True)
    assert set(needs.frontends) == {key_of(one.frontend), key_of(other.frontend)}
    assert needs.features
    features = ClipInputs(np.zeros((2, RATE), np.float32), RATE, Needs(features=True)).features
    assert features.shape == (2, 57)


def classical(clips: ClipSpec | None, n_features: int = 57) -> ClassicalModel:
    random = np.random.default_rng(0)
    pipeline = Pipeline([("scaler", StandardScaler()), ("classifier", GaussianNB())])
    pipeline.fit(random.normal(size=(30, n_features)), np.arange(30) % 3)
    names = FEATURE_NAMES[:n_features]
    return ClassicalModel(pipeline, LABELS, names, FEATURES_VERSION, clips, 2.0, {"model": "bayes"})


def test_classical_model_listens_through_the_same_interface(tmp_path: Path, clips: np.ndarray) -> None:
    model = classical(ClipSpec(clip_sec=1.0, sample_rate=RATE))
    model.save(tmp_path / "model.skops")
    (tmp_path / "model.skops").rename(tmp_path / "renamed")
    predictor = load_predictor([tmp_path / "renamed"])
    expected = model.predict_proba(handcrafted(at_rate(clips, RATE, 22050)))
    np.testing.assert_allclose(predictor.probabilities(clips), expected, atol=1e-9)
    assert (predictor.name, predictor.labels) == ("bayes", LABELS)
    both = Ensemble([predictor, mini_vgg()])
    deep = mini_vgg().probabilities(clips)
    np.testing.assert_allclose(both.probabilities(clips), (expected + deep) / 2, atol=1e-6)


def test_what_is_to_be_known_of_a_model_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.__version__", "1.6.0")
        classical(ClipSpec(clip_sec=1.0, sample_rate=RATE)).save(tmp_path / "model.skops")
    notices: list[str] = []
    assert load_predictor([tmp_path], tell=notices.append).labels == LABELS
    assert ["scikit-learn 1.6.0" in notice for notice in notices] == [True]


@pytest.mark.parametrize("model", [classical(None), classical(ClipSpec(), n_features=5)])
def test_classical_model_of_a_feature_table_cannot_listen(model: ClassicalModel) -> None:
    with pytest.raises(CheckpointError, match="learnt from a feature table"):
        ClassicalPredictor(model)


def test_load_predictor_from_checkpoints(tmp_path: Path, clips: np.ndarray) -> None:
    paths = []
    for seed, predictor in enumerate([mini_vgg(seed=1), cnn_gru(seed=2)]):
        trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", max_epochs=1)
        trainer.strategy.connect(predictor.model)
        paths.append(tmp_path / f"{seed}.ckpt")
        trainer.save_checkpoint(paths[-1])
    single = load_predictor(paths[:1])
    assert isinstance(single, DeepPredictor)
    np.testing.assert_allclose(single.probabilities(clips), mini_vgg(seed=1).probabilities(clips), atol=1e-6)
    assert isinstance(load_predictor(paths), Ensemble)
    assert load_predictor(paths).name == "MiniVGG + CNNGRU"
    with pytest.raises(CheckpointError, match="no model is given"):
        load_predictor([])


@pytest.mark.parametrize("name", ["best.ckpt", "model.skops"])
@pytest.mark.parametrize(("mark", "offset"), [(b"PK\x01\x02", 0), (b"PK\x06\x07", 16)], ids=["contents", "disks"])
def test_a_model_whose_table_of_contents_is_damaged(tmp_path: Path, name: str, mark: bytes, offset: int) -> None:
    torch.save({"state_dict": {}}, tmp_path / name)
    content = bytearray((tmp_path / name).read_bytes())
    at = content.rindex(mark) + offset
    content[at : at + 4] = b"XXXX"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load_predictor([tmp_path / name])
    with pytest.raises(CheckpointError, match=name):
        load_model(tmp_path / name)
    with pytest.raises(CheckpointError, match=name):
        load_classical(tmp_path / name)
