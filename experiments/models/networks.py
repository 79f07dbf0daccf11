"""Networks with random weights: small ones in JAX and in e3nn-jax, and MACE in torch. Lengths are in Å."""

import jax.numpy as jnp
import numpy as np

import jaxfeat

R_CUT = 4.0
N_RADIAL = 8
ELEMENTS = ("H", "C", "N", "O")
WIDTH = 40
"""Features of an atom: more than the 30 displacements of twelve atoms that are not rigid."""


def edges(positions, senders, receivers, shifts, cell):
    """Return the unit vectors of edges, and smooth functions of their lengths."""
    vectors = positions[receivers] + shifts @ cell - positions[senders]
    length = jnp.sqrt(jnp.sum(vectors**2, -1, keepdims=True))
    centers = jnp.linspace(0.4, R_CUT - 0.6, N_RADIAL)
    window = jnp.where(length < R_CUT, (1 - (length / R_CUT) ** 2) ** 5, 0)
    return vectors / length, window * jnp.exp(-(((length - centers) / 0.5) ** 2))


def draw(rng, *shape):
    return jnp.asarray(rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))


def scalar_network(kind, n_layers, width=WIDTH, seed=0):
    """Make a network whose messages are scalars. A layer of kind "linear" adds messages up, and one of kind "tanh"
    takes the hyperbolic tangent of the sums. One of kind "angles" multiplies messages by powers of the edge's unit
    vector and squares the sums, so that it sees the angles between two neighbors."""
    rng = np.random.default_rng(seed)
    embedding = draw(rng, 20, width) * 4
    layers = [(draw(rng, N_RADIAL, width, width), draw(rng, width, width)) for _ in range(n_layers)]
    # Each feature has an angular function of its own.
    amplitudes = draw(rng, 4, width) * 2 if kind == "angles" else jnp.ones((1, width))

    def network(positions, numbers, senders, receivers, shifts, cell):
        h = embedding[numbers]
        unit, radial = edges(positions, senders, receivers, shifts, cell)
        powers = [jnp.ones_like(unit[:, :1])]
        for degree in range(1, 4):
            powers.append((powers[-1][:, :, None] * unit[:, None]).reshape(-1, 3**degree))
        for weights, mixing in layers:
            messages = jnp.einsum("er,rfg,ef->eg", radial, weights, h[senders])
            changed = h @ mixing
            for power, amplitude in zip(powers, amplitudes, strict=False):
                sums = jnp.zeros((*h.shape, power.shape[1]), h.dtype)
                sums = sums.at[receivers].add((messages * amplitude)[:, :, None] * power[:, None])
                changed = changed + (jnp.sum(sums**2, -1) if kind == "angles" else sums[:, :, 0])
            h = jnp.tanh(changed / 4) if kind == "tanh" else changed
        return h

    nu = None if n_layers > 1 else 2 if kind == "angles" else 1
    return jaxfeat.from_jax(network, r_cut=R_CUT, n_layers=n_layers, nu=nu, species=ELEMENTS, labels=width)


def e3nn_network(n_layers, width=WIDTH, seed=0):
    """Make a network of e3nn-jax with one product in each layer, which passes scalars, vectors and tensors on."""
    import e3nn_jax as e3nn

    rng = np.random.default_rng(seed)
    embedding = draw(rng, 20, width) * 4
    layers = [(draw(rng, N_RADIAL, width), draw(rng, width, width)) for _ in range(n_layers)]

    def network(positions, numbers, senders, receivers, shifts, cell):
        unit, radial = edges(positions, senders, receivers, shifts, cell)
        harmonics = e3nn.spherical_harmonics("0e + 1o + 2e", unit, normalize=False)[:, None]
        h = e3nn.IrrepsArray("0e", embedding[numbers][:, :, None])
        invariants = []
        for weights, mixing in layers:
            messages = e3nn.tensor_product(h[senders], harmonics, filter_ir_out="0e + 1o + 2e")
            messages = messages * (radial @ weights)[:, :, None]
            sums = e3nn.scatter_sum(messages, dst=receivers, output_size=len(positions))
            sums = e3nn.IrrepsArray(sums.irreps, jnp.einsum("afm,fg->agm", sums.array, mixing)) / 2
            products = e3nn.tensor_square(sums).filter("0e + 1o + 2e")
            h = e3nn.concatenate([sums, products / 2], axis=-1).regroup()
            scalars = h.filter("0e").array
            invariants.append(jnp.tanh(jnp.einsum("afm,fm->af", scalars, jnp.ones(scalars.shape[1:]))))
        return jnp.concatenate(invariants, -1)

    names, nu = n_layers * width, None if n_layers > 1 else 2
    return jaxfeat.from_jax(network, r_cut=R_CUT, n_layers=n_layers, nu=nu, species=ELEMENTS, labels=names)


def random_mace(correlation, n_layers, channels=WIDTH, seed=0):
    """Make a MACE model in float64. It has vectors between its layers."""
    import mace.modules as parts
    import torch
    from ase.data import atomic_numbers
    from e3nn import o3

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(seed)
    return parts.ScaleShiftMACE(
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        r_max=R_CUT,
        num_bessel=N_RADIAL,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=parts.RealAgnosticResidualInteractionBlock,
        interaction_cls_first=parts.RealAgnosticInteractionBlock,
        num_interactions=n_layers,
        num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps(f"{channels}x0e" + (f"+{channels}x1o" if n_layers > 1 else "")),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(ELEMENTS)),
        avg_num_neighbors=4.0,
        atomic_numbers=[atomic_numbers[symbol] for symbol in ELEMENTS],
        correlation=correlation,
        gate=torch.nn.functional.silu,
        radial_MLP=[16, 16],
    )
