"""What the child process does that reads messages with the learned model. Apart: its parent loads no numbers."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded: each further thread takes 30 MB of its own

from routing.model import BadModel, Model, Parts
from routing.model_combine import read_both
from routing.model_process import Answer, Ask, Lacks, Unusable

_models: dict[str, Model] = {}  # one: the version asked for last


def work(ask: Ask) -> Answer:
    """Read messages with one version of the model."""
    model = _models.get(ask.version)
    if model is None:
        if ask.version and ask.content is None:
            return Lacks()
        try:
            model = Model(Parts.unpacked(ask.content)) if ask.content is not None else Model.load()
        except BadModel as error:
            return Unusable(why=str(error))
        _models.clear()
        _models[ask.version] = model
    return tuple(read_both(model, one.words, one.text) for one in ask.messages)
