"""The features a configuration names, each read once a process however many runs ask for them."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from genre.commands.build import build_datamodule
from genre.commands.console import preparation_bar, say
from genre.data.feature_set import FeatureSet, check_passages, from_datamodule
from genre.data.features_csv import read_features_csv
from genre.data.fingerprint import digest
from genre.errors import ConfigError
from genre.features.sets import HANDCRAFTED, check_feature_set

_read: dict[str, FeatureSet] = {}


def load_features(cfg: DictConfig) -> FeatureSet:
    """Return the features of a configuration's data: of a table, or of prepared clips, which are prepared if need be.

    Raises
    ------
    GenreError
        If a setting is wrong or the data set cannot be used.
    """
    check_feature_set(cfg.feature_set)
    settings: Any = [OmegaConf.to_container(cfg[group], resolve=True) for group in ("data", "frontend")]
    key = digest([*settings, str(cfg.feature_set)])
    if key not in _read:
        features = _from_table(cfg) if "csv" in cfg.data else _from_clips(cfg)
        _read.clear()  # a sweep over data sets needs one at a time
        _read[key] = features
    return _read[key]


def _from_table(cfg: DictConfig) -> FeatureSet:
    if cfg.feature_set != HANDCRAFTED:
        raise ConfigError(
            f"a table has the features it has: leave feature_set={cfg.feature_set} out, or name audio with data=folder"
        )
    return read_features_csv(cfg.data.csv)


def _from_clips(cfg: Any) -> FeatureSet:
    check_passages(cfg.feature_set, cfg.data.passage_sec)
    with preparation_bar() as bar:
        cfg = OmegaConf.merge(cfg, {"data": {"in_memory": False}})  # spectrograms are not looked at
        datamodule = build_datamodule(cfg, progress=bar.prepared, say=say, fingerprint_progress=bar.listened)
        datamodule.prepare_data()
    datamodule.setup()
    return from_datamodule(datamodule, cfg.feature_set)
