from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.embedded.training import pool as module
from experiments.embedded.training.pool import Pool, make_pool, to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.seeding import generator_for

COUNT = 20


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return make_pool(tmp_path_factory.mktemp("pool") / "scenes.safetensors", SCENES, COUNT, seed=3)


def refuse(*_: object) -> Tensor:
    raise AssertionError("rendered again")


def test_to_signed_maps_bytes_and_shares_to_the_same_range() -> None:
    levels = torch.arange(256)
    signed = to_signed(levels.byte())
    assert signed.dtype == torch.float32
    assert signed.tolist() == pytest.approx([2 * level / 255 - 1 for level in range(256)], abs=1e-6)
    torch.testing.assert_close(to_signed(levels / 255), signed)


def test_pool_holds_rendered_training_scenes(pool: Pool) -> None:
    assert len(pool) == COUNT
    assert pool.pixels.dtype == torch.uint8
    assert not SCENES.is_held_out(pool.scenes).any()
    error = (pool.pixels / 255 - SCENES.render(pool.scenes)).abs().max()
    assert error <= 0.5 / 255 + 1e-5
    assert len(pool.scenes.jitter.unique(dim=0)) == COUNT


def test_chunks_do_not_show(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)
    again = make_pool(tmp_path / "deep" / "scenes.safetensors", SCENES, COUNT, seed=3)
    assert torch.equal(again.scenes.jitter, pool.scenes.jitter)
    assert (again.pixels.int() - pool.pixels.int()).abs().max() <= 1


def test_a_stored_pool_is_read_and_not_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scenes.safetensors"
    first = make_pool(path, SCENES, 5, seed=1)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with monkeypatch.context() as patch:
        patch.setattr(type(SCENES), "render", refuse)
        again = make_pool(path, SCENES, 5, seed=1)
        with pytest.raises(AssertionError, match="rendered again"):
            make_pool(path, SCENES, 6, seed=1)
    assert torch.equal(again.pixels, first.pixels)
    assert torch.equal(again.scenes.attributes, first.scenes.attributes)
    assert torch.equal(again.scenes.jitter, first.scenes.jitter)
    larger = make_pool(path, SCENES, 6, seed=1)
    assert len(larger) == len(larger.pixels) == 6
    assert len(make_pool(path, SCENES, 6, seed=1)) == 6


def test_seeds_give_pools_of_their_own(pool: Pool, tmp_path: Path) -> None:
    other = make_pool(tmp_path / "other.safetensors", SCENES, COUNT, seed=4)
    assert not torch.equal(other.scenes.jitter, pool.scenes.jitter)


def test_a_batch_keeps_scenes_with_their_pictures(pool: Pool) -> None:
    before = torch.get_rng_state()
    batch = pool.draw(50, generator_for("draw"))
    assert batch.images.shape == (50, 3, 64, 64)
    for k in range(50):
        row = int((pool.scenes.jitter == batch.scenes.jitter[k]).all(1).nonzero())
        assert torch.equal(batch.scenes.attributes[k], pool.scenes.attributes[row])
        torch.testing.assert_close(batch.images[k], pool.pixels[row].float() * 2 / 255 - 1)
    assert torch.equal(batch.images, pool.draw(50, generator_for("draw")).images)
    assert torch.equal(before, torch.get_rng_state())


def test_drawing_is_uniform_and_with_replacement() -> None:
    scenes = SCENES.sample(4, generator_for("four"))
    tiny = Pool(scenes, torch.zeros(4, 3, 1, 1, dtype=torch.uint8))
    drawn = tiny.draw(2000, generator_for("many")).scenes.jitter
    counts = [(drawn == row).all(1).sum().item() for row in scenes.jitter]
    assert sum(counts) == 2000
    assert all(abs(count - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5 for count in counts)
