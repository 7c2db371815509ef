"""The original's neural network on features, as a scikit-learn classifier whose fitted state is plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    import torch


class NeuralNet(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Dense layers, each followed by batch normalisation, ReLU and dropout, trained with Adam on cross-entropy.

    PyTorch trains it in one thread. What stays of the network is one matrix and one offset a layer, into which the
    batch normalisation is folded, so that a fitted model predicts with NumPy alone and can be saved as arrays.

    Parameters
    ----------
    hidden
        Units of each hidden layer.
    dropout
        Share of the units of each hidden layer that is dropped in training.
    epochs
        Passes over the training rows.
    batch_size
        Rows a step; a single row that is left over joins the batch before it.
    learning_rate, weight_decay
        Of Adam.
    random_state
        Seed of initial weights, order and dropout.

    Attributes
    ----------
    classes_ : shape=(n_classes,)
    weights_ : list of arrays, shape=(n_inputs, n_outputs)
    offsets_ : list of arrays, shape=(n_outputs,)

    References
    ----------
    Ioffe, S., Szegedy, C. (2015). Batch normalization. ICML: inference with fixed statistics is an affine map.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 128, 64),
        dropout: Sequence[float] = (0.2, 0.3, 0.4),
        *,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        random_state: int | None = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on rows ``X`` of shape (n, n_features) and their classes ``y`` of shape (n,)."""
        rows, classes = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(classes)
        if len(self.hidden) != len(self.dropout):
            raise ValueError(f"{len(self.hidden)} hidden layers need as many dropouts, not {len(self.dropout)}")
        encoder = LabelEncoder().fit(classes)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs at least two classes, and there is one class: {self.classes_[0]}")
        network = self._train(rows, encoder.transform(classes))
        self.weights_, self.offsets_ = _folded(network)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the logits, shape (n, n_classes); of two classes, the difference of theirs, shape (n,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the probability of each class, shape (n, n_classes)."""
        return np.asarray(softmax(self._logits(X), axis=1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row, shape (n,)."""
        place = self._logits(X).argmax(axis=1)
        return np.asarray(self.classes_[place])

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        rows: NDArray[np.float32] = validate_data(self, X, dtype=np.float32, reset=False)
        for weight, offset in zip(self.weights_[:-1], self.offsets_[:-1], strict=True):
            rows = np.maximum(rows @ weight + offset, 0.0)
        return np.asarray(rows @ self.weights_[-1] + self.offsets_[-1])

    def _train(self, X: NDArray[np.float32], y: NDArray[np.int64]) -> torch.nn.Sequential:
        import torch

        rng = check_random_state(self.random_state)
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.randint(2**31)))
            torch.set_num_threads(1)  # layers as small as these are slower with more
            try:
                return self._train_network(torch.from_numpy(X), torch.from_numpy(y), rng)
            finally:
                torch.set_num_threads(threads)

    def _train_network(self, X: torch.Tensor, y: torch.Tensor, rng: np.random.RandomState) -> torch.nn.Sequential:
        import torch

        network = _network(X.shape[1], self.hidden, self.dropout, len(self.classes_))
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        network.train()
        for _ in range(self.epochs):
            for rows in _batches(rng.permutation(len(X)), self.batch_size):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(network(X[rows]), y[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return network.eval()


def _network(n_features: int, hidden: Sequence[int], dropout: Sequence[float], n_classes: int) -> torch.nn.Sequential:
    from torch import nn

    layers: list[nn.Module] = []
    width = n_features
    for units, share in zip(hidden, dropout, strict=True):
        layers += [nn.Linear(width, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(share)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, n_classes))


def _batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut an order into batches; batch normalisation needs two rows, so a single one at the end is not left alone."""
    begins = list(range(0, len(order), size))
    if len(begins) > 1 and len(order) - begins[-1] == 1:
        begins.pop()
    return np.split(order, begins[1:])


def _folded(network: torch.nn.Sequential) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return matrix and offset of each layer, with the batch normalisation after it folded in."""
    import torch
    from torch import nn

    weights: list[NDArray[np.float32]] = []
    offsets: list[NDArray[np.float32]] = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            weights.append(layer.weight.detach().numpy().T.copy())
            offsets.append(layer.bias.detach().numpy().copy())
        elif isinstance(layer, nn.BatchNorm1d):
            mean, variance = layer.running_mean, layer.running_var
            assert mean is not None
            assert variance is not None
            scale = (layer.weight / torch.sqrt(variance + layer.eps)).detach().numpy()
            weights[-1] = weights[-1] * scale
            offsets[-1] = (offsets[-1] - mean.numpy()) * scale + layer.bias.detach().numpy()
    return weights, offsets
