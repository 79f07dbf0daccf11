"""Torch functions have the Jacobians of the same functions in JAX, by whichever backward passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from torch_models import evaluated, needs

import jaxfeat
from jaxfeat.errors import BasisError, ModelError
from jaxfeat.models import torch_jacobian

torch = needs("torch")

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)
FEW, MANY = np.linspace(0.5, 3.0, 2), np.linspace(0.5, 3.0, 40)  # fewer and more features than coordinates


def radial(centers):
    """Sums of Gaussians of the distances to all others, weighted by atomic number, and squares of others' sums."""
    centers = torch.tensor(centers)

    def features(positions, numbers, cell, pbc):
        n = len(positions)
        apart = positions[:, None] - positions[None] + torch.eye(n, dtype=positions.dtype)[:, :, None]
        distance = apart.norm(dim=-1)[:, :, None]
        others = (1 - torch.eye(n, dtype=positions.dtype))[:, :, None] * numbers.to(positions.dtype)[None, :, None]
        sums = (others * torch.exp(-((distance - centers.to(positions)) ** 2))).sum(1)
        return sums + torch.einsum("ijk,jk->ik", others / distance, sums**2) / 100

    return features


def radial_in_jax(centers, numbers):
    def features(positions):
        n = len(positions)
        distance = jnp.linalg.norm(positions[:, None] - positions[None] + jnp.eye(n)[:, :, None], axis=-1)[:, :, None]
        others = (1 - jnp.eye(n))[:, :, None] * jnp.asarray(numbers, float)[None, :, None]
        sums = (others * jnp.exp(-((distance - centers[None, None]) ** 2))).sum(1)
        return sums + jnp.einsum("ijk,jk->ik", others / distance, sums**2) / 100

    return features


class Squared(torch.autograd.Function):
    """A square whose backward pass has neither a rule for batches nor derivatives, and does not say so."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, cotangent):
        (x,) = ctx.saved_tensors
        return 2 * x * torch.tensor(cotangent.detach().numpy()) + 0 * cotangent


class OnceSquared(Squared):
    """A square that says so."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, cotangent):
        return Squared.backward(ctx, cotangent)


@pytest.mark.parametrize("centers", [FEW, MANY], ids=["by rows", "by columns"])
@pytest.mark.parametrize("batch", [0, 32e6], ids=["single passes", "batches"])
def test_the_jacobian_is_that_of_the_same_function_in_jax(centers, batch, monkeypatch):
    monkeypatch.setattr(torch_jacobian, "BATCH_BYTES", batch)
    m = jaxfeat.from_torch(radial(centers), reach=np.inf)
    features, jacobian = evaluated(m, ETHANOL)
    same = radial_in_jax(centers, ETHANOL.numbers)
    np.testing.assert_allclose(features, same(ETHANOL.positions), rtol=1e-13)
    np.testing.assert_allclose(jacobian, jax.jacfwd(same)(ETHANOL.positions), rtol=1e-12, atol=1e-13)
    some = evaluated(m, ETHANOL, [4, 1])
    np.testing.assert_allclose(some[0], features[[4, 1]], rtol=1e-15)
    np.testing.assert_allclose(some[1], jacobian[[4, 1]], rtol=1e-12, atol=1e-13)


def test_columns_take_a_backward_pass_for_each_coordinate(monkeypatch):
    passes = []
    counted = torch_jacobian._backward_passes

    def count(outputs, inputs, batch):
        passes.append(outputs.numel())
        return counted(outputs, inputs, batch)

    monkeypatch.setattr(torch_jacobian, "_backward_passes", count)
    for centers in (FEW, MANY):
        evaluated(jaxfeat.from_torch(radial(centers), reach=np.inf), ETHANOL)
    # Derivatives that cancel leave rounding errors, which differ between both ways.
    cancelling = lambda x, *_: 1 + (0.1 * x + 0.2 * x - 0.3 * x) @ torch.ones(3, 40).to(x)  # noqa: E731
    evaluated(jaxfeat.from_torch(cancelling, reach=1.0), ETHANOL)
    assert passes == [9 * 2, 9 * 3, 9 * 3]


@pytest.mark.parametrize("function", [Squared, OnceSquared])
@pytest.mark.parametrize("centers", [FEW, MANY], ids=["by rows", "by columns"])
def test_backward_passes_without_derivatives_or_batches_are_left_out(function, centers):
    plain = radial(centers)
    squared, same = (
        evaluated(jaxfeat.from_torch(one, reach=np.inf), ETHANOL)
        for one in (lambda *given: function.apply(plain(*given)), lambda *given: plain(*given) ** 2)
    )
    np.testing.assert_allclose(squared[0], same[0], rtol=1e-14)
    np.testing.assert_allclose(squared[1], same[1], rtol=1e-12, atol=1e-12)


class Dense(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(40, 16), torch.nn.Dropout(0.5), torch.nn.Tanh())
        self.dtypes = []

    def forward(self, positions, numbers, cell, pbc):
        self.dtypes.append((positions.dtype, torch.get_default_dtype(), self.training))
        return self.layers(radial(MANY)(positions, numbers, cell, pbc) / 100)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_torch_and_the_module_stay_as_they_were(mode):
    module = Dense()
    module.weight_of_call = module.layers[0].weight * 2  # modules that keep tensors of a call cannot be copied plainly
    m = jaxfeat.from_torch(module, reach=np.inf)
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state()
    with mode():
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
        features, jacobian = evaluated(m, ETHANOL)
        assert torch.is_grad_enabled() == (mode is torch.enable_grad)
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert m.model.evaluate.function.dtypes == [(torch.float64, torch.float64, False)]
    assert not module.dtypes and module.training
    assert all(one.requires_grad and one.dtype == torch.float32 and one.grad is None for one in module.parameters())
    assert features.dtype == jacobian.dtype == np.float64
    assert np.abs(jacobian).max() > 0.01


def test_float32_has_a_floor_that_says_so():
    single, double = (jaxfeat.from_torch(radial(MANY), reach=20.0, dtype=dtype) for dtype in ("float32", "float64"))
    structure = jaxfeat.structures([ETHANOL], double)[0]
    coarse, fine = (jaxfeat.singular_spectrum(m, structure) for m in (single, double))
    assert evaluated(single, ETHANOL)[1].dtype == np.float32
    assert coarse.floor > 1e-6 * coarse.values[0]
    assert fine.floor < 1e-12 * fine.values[0]


def test_features_that_do_not_react_have_a_jacobian_of_zeros():
    m = jaxfeat.from_torch(lambda positions, numbers, cell, pbc: numbers[:, None] * 1.0, reach=3.0)
    features, jacobian = evaluated(m, ETHANOL)
    np.testing.assert_array_equal(features[:, 0], ETHANOL.numbers)
    np.testing.assert_array_equal(jacobian, np.zeros((9, 1, 9, 3)))


def test_the_cell_is_given_with_its_periods():
    """Rows that do not repeat are zero."""
    seen = []
    m = jaxfeat.from_torch(lambda x, z, cell, pbc: seen.append((cell.numpy(), pbc.tolist())) or x, reach=3.0)
    slab = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    slab.pbc = (True, False, True)
    for atoms in (slab, ETHANOL):
        evaluated(m, atoms)
    np.testing.assert_array_equal(seen[0][0], np.diag([5.6, 0, 5.6]))
    np.testing.assert_array_equal(seen[1][0], np.zeros((3, 3)))
    assert [pbc for _, pbc in seen] == [[True, False, True], [False] * 3]


def test_bad_input_is_refused():
    with pytest.raises(BasisError, match="choose 'float64' or 'float32'"):
        jaxfeat.from_torch(radial(FEW), reach=np.inf, dtype="float16")
    for wrong, message in (
        (lambda *given: given[0].sum(0), "returned \\(3,\\) for 9 atoms"),
        (lambda *given: 1, "int"),
    ):
        with pytest.raises(ModelError, match=message):
            evaluated(jaxfeat.from_torch(wrong, reach=np.inf), ETHANOL)


def test_a_jacobian_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("jaxfeat.memory.UNCHECKED_BYTES", 0)
    monkeypatch.setattr("jaxfeat.memory.free_bytes", lambda: 1e3)
    with pytest.raises(MemoryError, match="9 centers with 40 features by 9 atoms"):
        evaluated(jaxfeat.from_torch(radial(MANY), reach=np.inf), ETHANOL)


def test_atoms_without_neighbors_do_not_stop_a_spectrum():
    m = jaxfeat.from_torch(lambda positions, *rest: radial(MANY)(positions, *rest), reach=np.inf)
    alone = jaxfeat.structures([Atoms("H")], 5.0)[0]
    assert evaluated(m, Atoms("H"))[1].shape == (1, 40, 1, 3)
    assert alone.neighbor.shape[-2] == 1
