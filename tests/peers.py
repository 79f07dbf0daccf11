"""Power spectra of other packages in one normalization, with labels, for comparison.

Use each after pytest.importorskip of its package; the imports are inside the functions. Every value is

    P(a, n, b, n', l) = sum_m c_anlm c_bn'lm / sqrt(2l+1),   density = sum_j weight(r_j) exp(-|r - r_j|^2 / 2 sigma^2),

one for each label (a, n, b, n', l), n from 0, a and b symbols with Z(a) <= Z(b). Redundant pairs carry no weight. The
factors that the packages put in front are divided out: DScribe gives pi sqrt(8) P; featomic gives
(-1)^l (pi sigma^2)^(-3/2) P, times sqrt(2) for a != b. Positions (N, 3) are in Å, relative to the center at the origin,
which has a density of its own unless told. Gradients are (n_features, N, 3): the neighbors move, the center does not.
"""

from functools import partial
from math import sqrt

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols


def _atoms(positions, symbols, center_species):
    """Make atoms: the center, then the neighbors."""
    return Atoms([center_species, *symbols], np.vstack([np.zeros((1, 3)), np.reshape(positions, (-1, 3))]))


def unordered(label):
    """Name (a, n, b, n', l) so that the order of its two channels does not matter."""
    a, n, b, k, l = label
    return (*sorted([(atomic_numbers[a], n), (atomic_numbers[b], k)]), l)


def pair_weights(f):
    """Return √2 for pairs of different channels of a power spectrum, and 1 for others."""
    return np.array([1 if label[:2] == label[2:4] else sqrt(2) for label in f.labels])


def amplitude(radial, sigma):
    """Return the factor of jaxfeat's Gaussian of one atom: 1 for a delta function."""
    if sigma == 0:
        return 1.0
    return (8 * np.pi**2) ** 0.25 if radial == "gto" else (np.pi * sigma**2) ** -0.75


def in_order_of(f, values, labels, amplitude):
    """Bring values or gradients of a peer into the order and normalization of the power spectrum `f`.

    Channels of absent species, which the peer leaves out, are zero.
    """
    found = {unordered(label): value for label, value in zip(labels, values, strict=True)}
    ordered = np.array([found.get(unordered(label), np.zeros_like(values[0])) for label in f.labels])
    return amplitude**2 * pair_weights(f).reshape(-1, *[1] * (ordered.ndim - 1)) * ordered


# --- DScribe ---------------------------------------------------------------------------------------------------------


def _dscribe(positions, symbols, center_species, species, r_cut, n_max, l_max, sigma, include_center):
    """Return descriptor, atoms and labels in DScribe's order, which for equal species has n' >= n only."""
    from dscribe.descriptors import SOAP

    soap = SOAP(species=list(species), r_cut=r_cut, n_max=n_max, l_max=l_max, sigma=sigma, periodic=False)
    atoms = _atoms(positions, symbols, center_species)[0 if include_center else 1 :]
    ordered = sorted(set(species), key=atomic_numbers.__getitem__)
    labels = [
        (a, n, b, k, l)
        for i, a in enumerate(ordered)
        for b in ordered[i:]
        for l in range(l_max + 1)
        for n in range(n_max)
        for k in range(n if a == b else 0, n_max)
    ]
    return soap, atoms, labels


def dscribe_power_spectrum(
    positions, symbols, center_species, species, r_cut, n_max, l_max, sigma, *, include_center=True
):
    """Compute values and labels in DScribe's basis ("gto" of references.py), without a cutoff window.

    Their noise is about 1e-12.

    DScribe drops what is beyond r_cut + 3.72 sigma, not beyond r_cut.
    """
    soap, atoms, labels = _dscribe(
        positions, symbols, center_species, species, r_cut, n_max, l_max, sigma, include_center
    )
    return soap.create(atoms, centers=[[0.0, 0.0, 0.0]])[0] / (np.pi * np.sqrt(8)), labels


def dscribe_derivatives(
    positions, symbols, center_species, species, r_cut, n_max, l_max, sigma, *, include_center=True
):
    """Compute the analytic gradients of `dscribe_power_spectrum`, and the labels."""
    soap, atoms, labels = _dscribe(
        positions, symbols, center_species, species, r_cut, n_max, l_max, sigma, include_center
    )
    moving = list(range(1 if include_center else 0, len(atoms)))
    options = {"method": "analytical", "attach": False, "return_descriptor": False}
    gradients = soap.derivatives(atoms, centers=[[0.0, 0.0, 0.0]], include=moving, **options)
    return np.moveaxis(gradients[0], -1, 0) / (np.pi * np.sqrt(8)), labels


# --- featomic --------------------------------------------------------------------------------------------------------


def featomic_power_spectrum(
    positions,
    symbols,
    center_species,
    r_cut,
    n_max,
    l_max,
    sigma,
    *,
    width=0.5,
    radial_scaling=None,
    center_weight=1.0,
    radial="gto-rascal",
    spline_points=400,
):
    """Values, gradients and labels; the bases are named as in references.py, and n_max counts functions.

    A neighbor's weight is a cosine window over the last `width` Å before r_cut (None: a step), times
    rate / (rate + (r / scale)^exponent) with radial_scaling = (scale, rate, exponent). The labels have the species that
    occur, and for equal species both n, n' and n', n. "gto-rascal" is exact; "laplacian" is slow and splined.
    """
    from featomic import SoapPowerSpectrum
    from featomic.basis import Explicit, Gto, SphericalBessel, TensorProduct
    from featomic.cutoff import Cutoff, ShiftedCosine
    from featomic.density import Gaussian, Willatt2018
    from featomic.splines import SoapSpliner
    from metatensor import Labels

    scaling = None
    if radial_scaling is not None:
        scale, rate, exponent = radial_scaling
        scaling = Willatt2018(scale=scale, rate=rate, exponent=exponent)
    hypers = {
        "cutoff": Cutoff(radius=r_cut, smoothing=None if width is None else ShiftedCosine(width=width)),
        "density": Gaussian(width=sigma, center_atom_weight=center_weight, scaling=scaling),
    }
    size = {"max_radial": n_max - 1, "radius": r_cut}
    if radial == "gto-rascal":
        hypers["basis"] = TensorProduct(max_angular=l_max, radial=Gto(**size), spline_accuracy=None)
    elif radial == "laplacian":
        basis = Explicit(by_angular={l: SphericalBessel(angular_channel=l, **size) for l in range(l_max + 1)})
        hypers = SoapSpliner(**hypers, basis=basis, n_spline_points=spline_points).get_hypers()
    else:
        raise ValueError(f"featomic has no radial basis {radial!r}")

    atoms = _atoms(positions, symbols, center_species)
    center = Labels(["system", "atom"], np.array([[0, 0]]))
    output = SoapPowerSpectrum(**hypers).compute(atoms, gradients=["positions"], selected_samples=center)
    values, gradients, labels = [], [], []
    for key, block in output.items():
        if len(block.samples) == 0:  # another center
            continue
        z1, z2 = int(key["neighbor_1_type"]), int(key["neighbor_2_type"])
        names = [(int(p["n_1"]), int(p["n_2"]), int(p["l"])) for p in block.properties]
        factor = (np.pi * sigma**2) ** 1.5 * np.array([(-1.0) ** l for _, _, l in names])
        factor /= 1 if z1 == z2 else np.sqrt(2)
        sparse = block.gradient("positions")  # atoms that cannot change the block are left out
        dense = np.zeros((len(atoms), 3, len(names)))
        dense[np.asarray(sparse.samples["atom"])] = sparse.values
        values.append(block.values[0] * factor)
        gradients.append(np.moveaxis(dense[1:] * factor, -1, 0))
        labels += [(chemical_symbols[z1], n, chemical_symbols[z2], k, l) for n, k, l in names]
    return np.concatenate(values), np.concatenate(gradients), labels


featomic_laplacian_power_spectrum = partial(featomic_power_spectrum, radial="laplacian")


# --- skmatter --------------------------------------------------------------------------------------------------------


def methane_grid_positions(i, j, sign):
    """Hydrogens of the degenerate methane grid of PRL 125, 166001: i, j = 0 ... 8, sign = -1 or 1, carbon at 0."""
    f, l = (0.7 + 0.025 * i) * np.pi, (0.1 - 0.025 * j) * np.pi
    x, y = np.cos(np.pi / 6) * np.cos(np.pi / 5), np.cos(np.pi / 6) * np.sin(np.pi / 5)
    first = [np.cos(5 * np.pi / 8), 0, np.sin(5 * np.pi / 8)]
    last = [np.cos(l) * np.cos(f), sign * np.cos(l) * np.sin(f), np.sin(l)]
    return 1.09 * np.array([first, [x, -y, -0.5], [x, y, 0.5], last])


def skmatter_methane():
    """librascal's features (162, 12) of that grid, positions (162, 4, 3), labels (n, n', l): frame 9i + j, X- first.

    "gto-rascal", n_max = 2, l_max = 2, r_cut = 4, sigma = 0.5; carbon and hydrogens share one species channel, and the
    carbon's own density counts. The features are P / (16 pi^3) for all n, n', to eight digits.
    """
    from skmatter.datasets import load_degenerate_CH4_manifold

    features = np.array(load_degenerate_CH4_manifold().data.SOAP_power_spectrum)
    positions = [methane_grid_positions(i, j, sign) for sign in (-1, 1) for i in range(9) for j in range(9)]
    labels = [(n, k, l) for n in range(2) for k in range(2) for l in range(3)]
    return features, np.array(positions), labels
