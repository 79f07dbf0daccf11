"""The page on models shows what comes out, where it needs torch."""

import doctest
import re
from pathlib import Path

import jax
from torch_models import needs, random_mace

needs("mace", "so3krates_torch", "torchani.aev")
import torch  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "models.md"


def test_the_page_on_models_shows_what_comes_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(random_mace(2), "mace.model")
    blocks = re.findall(r"^```\{code-block\} pycon\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    runner, complaints = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        runner.run(
            doctest.DocTestParser().get_doctest("".join(blocks), {}, PAGE.name, str(PAGE), 0), out=complaints.append
        )
    assert not complaints, "".join(complaints)
