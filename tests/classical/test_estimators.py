"""The estimators that scikit-learn does not have behave as its own do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from classical_models import blobs
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from genre.classical.classifiers import soft_voting, stacking
from genre.classical.neural_net import NeuralNet, _folded, _network
from genre.classical.transforms import RadialBasis


@parametrize_with_checks([NeuralNet((16,), (0.0,), epochs=20, learning_rate=0.03), RadialBasis(5)])
def test_scikit_learn_finds_nothing_wrong(estimator, check) -> None:
    check(estimator)


def test_radial_basis_is_the_kernel_to_the_centres_of_k_means() -> None:
    rows, _ = blobs(50)
    transform = RadialBasis(7, gamma=0.3, random_state=1).fit(rows)
    centres = KMeans(7, n_init=1, random_state=1).fit(rows).cluster_centers_
    assert np.allclose(transform.transform(rows), rbf_kernel(rows, centres, gamma=0.3))
    assert RadialBasis(200).fit_transform(rows).shape == (50, 50)


def test_default_network_is_the_originals() -> None:
    network = _network(57, NeuralNet().hidden, NeuralNet().dropout, 10)
    widths = [layer.out_features for layer in network if isinstance(layer, torch.nn.Linear)]
    dropout = [layer.p for layer in network if isinstance(layer, torch.nn.Dropout)]
    kinds = [type(layer).__name__ for layer in network[:4]]
    assert (widths, dropout) == ([256, 128, 64, 10], [0.2, 0.3, 0.4])
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert (NeuralNet().epochs, NeuralNet().batch_size, NeuralNet().learning_rate) == (30, 32, 1e-3)


def test_folded_network_says_what_the_network_says() -> None:
    torch.manual_seed(0)
    network = _network(4, (6, 5), (0.2, 0.3), 3)
    rows = torch.randn(64, 4)
    network(rows)  # moves the statistics of the batch normalisation
    network.eval()
    weights, offsets = _folded(network)
    hidden = rows.numpy()
    for weight, offset in zip(weights[:-1], offsets[:-1], strict=True):
        hidden = np.maximum(hidden @ weight + offset, 0)
    assert np.allclose(hidden @ weights[-1] + offsets[-1], network(rows).detach().numpy(), atol=1e-5)


def test_network_learns_repeats_itself_and_leaves_the_random_state_alone() -> None:
    rows, label = blobs(90)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (NeuralNet((16, 8), (0.1, 0.1), epochs=20, learning_rate=0.02).fit(rows, label) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(first.decision_function(rows), second.decision_function(rows))
    assert first.score(*blobs(60, seed=3)) > 0.9
    assert np.allclose(first.predict_proba(rows), softmax(first.decision_function(rows), axis=1))


@pytest.mark.parametrize("fault", [{"dropout": (0.1, 0.1)}, {"label": "one class"}], ids=str)
def test_network_says_what_it_cannot_do(fault: dict) -> None:
    rows, label = blobs(20)
    if "label" in fault:
        with pytest.raises(ValueError, match="two classes"):
            NeuralNet((4,), (0.1,)).fit(rows, np.zeros(20))
    else:
        with pytest.raises(ValueError, match="as many dropouts"):
            NeuralNet((4,), **fault).fit(rows, label)


def test_soft_voting_is_the_mean_of_the_members() -> None:
    rows, label = blobs(60)
    members = {"a": LogisticRegression(), "b": KNeighborsClassifier(3)}
    ensemble = soft_voting(members).fit(rows, label)
    alone = [member.fit(rows, label).predict_proba(rows) for member in members.values()]
    assert np.allclose(ensemble.predict_proba(rows), np.mean(alone, axis=0))


def test_stacking_does_not_trust_a_member_that_only_remembers() -> None:
    """Rows of a group are the same point: a nearest neighbour is right on known groups and blind on new ones."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 5)
    label = np.repeat(rng.integers(0, 2, 40), 5)
    rows = rng.normal(size=(40, 3))[group]
    rows[:, 0] = label + rng.normal(0, 0.8, 200)  # the only column that tells anything of new groups
    members = {"remembers": KNeighborsClassifier(1), "learns": LogisticRegression()}
    apart = stacking(members, C=1.0).fit(rows, label, groups=group)
    mixed = stacking(members, C=1.0).fit(rows, label)
    assert apart.cv == mixed.cv == 5
    trust_apart, trust_mixed = (np.abs(model.final_estimator_.coef_[0]) for model in (apart, mixed))
    assert trust_apart[0] / trust_apart.sum() < trust_mixed[0] / trust_mixed.sum() - 0.1


def test_stacking_of_three_classes_takes_trees() -> None:
    rows, label = blobs(60)
    model = stacking({"trees": ExtraTreesClassifier(5, random_state=0), "linear": LogisticRegression()}, n_folds=3)
    model.fit(rows, label, groups=np.arange(60) // 6)
    assert model.score(*blobs(60, seed=4)) > 0.9
