"""Networks trained by scikit-learn and handed over as torch modules: real pretraining that torch never sees."""

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn


def pretrained_mlp(x, y, *, hidden=(64, 64), epochs=30):
    """A ReLU network `x.shape[1] - *hidden - classes`, fitted to rows `x` with labels `y`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = MLPClassifier(hidden, max_iter=epochs, random_state=0).fit(x, y)
    layers = []
    for weight, bias in zip(fitted.coefs_, fitted.intercepts_):
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight.T))
            linear.bias.copy_(torch.tensor(bias))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
