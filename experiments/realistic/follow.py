"""Follow the environments of a path of structures from frame to frame."""

import numpy as np
from common import BLUE, GREEN, GREY, VERMILION, new_figure
from matplotlib.ticker import MaxNLocator

import jaxfeat

COLORS = {"H": GREY, "C": BLUE, "O": VERMILION}
WINDOW = 1.0
"""Width (Å) of the default cutoff. The radius exceeds the longest distance by it, so that no atom comes, goes or
fades."""
TOLERANCES = (1e-3, 1e-2, 3e-2, 1e-1)
MARKED = 3
"""Number of centers that the figure names: the ones whose sensitivity dips most."""


def follow(name, frames, n_max, l_max):
    """Draw σ_min/σ_max of every center, and the whole spectrum of the center that dips most, colored by species."""
    symbols = frames[0].get_chemical_symbols()
    longest = max(frame.get_all_distances().max() for frame in frames)
    batch = jaxfeat.environments(frames, longest + WINDOW)
    f = jaxfeat.PowerSpectrum(tuple(sorted(set(symbols))), r_cut=longest + WINDOW, n_max=n_max, l_max=l_max)
    spectrum = jaxfeat.singular_spectrum(f, batch, equilibrated=True)
    ratios = np.asarray(spectrum.ratio).reshape(len(frames), len(symbols))

    dips = np.median(ratios, 0) / ratios.min(0)
    marked = np.argsort(-dips)[:MARKED]
    print(f"{name}: {len(frames)} frames, r_cut {longest + WINDOW:.2f} Å, {len(symbols) - 1} neighbors")
    for atom in marked:
        frame = int(ratios[:, atom].argmin())
        env = batch[frame * len(symbols) + int(atom)]
        found = [jaxfeat.stabilizer(env, tolerance) for tolerance in TOLERANCES]
        symmetry = ", ".join(f"{s.symbol} at {s.tolerance:g} Å" for s in found)
        kept = round(np.trace(found[-1].fixed_projector()))
        print(f"{symbols[atom]}{atom}: σ_min/σ_max {ratios[frame, atom]:.1e} in frame {frame}, ", end="")
        print(f"{np.median(ratios[:, atom]):.1e} in the median; in that frame {symmetry}, which {kept} ", end="")
        print(f"of {3 * len(symbols) - 3} displacements keep")
    center = int(marked[0])
    rows = np.arange(len(frames)) * len(symbols) + center
    movers = np.stack([_shares(spectrum, row, batch) for row in rows])
    frame = int(ratios[:, center].argmin())
    shares = movers[frame, -1]
    who = ", ".join(f"{symbols[i]}{i} {shares[i]:.0%}" for i in np.argsort(-shares)[:4])
    print(f"the smallest direction of {symbols[center]}{center} in frame {frame} moves {who}")
    values = np.asarray(spectrum.values)[rows] / np.asarray(spectrum.values)[rows, :1]
    dipping = int((values[frame] < np.median(values, 0) / 5).sum())
    print(f"{dipping} of its {values.shape[1]} values are less than a fifth of their medians there")
    return _draw(name, symbols, ratios, marked, values, movers)


def _shares(spectrum, row, batch):
    """Return the squared share of each atom in each direction, `(k, atoms)`, in the equilibrated coordinates."""
    squares = np.sum(np.asarray(spectrum.directions[row]) ** 2, -1)
    mask = np.asarray(batch.mask[row])
    shares = np.zeros((len(squares), mask.sum() + 1))
    shares[:, np.asarray(batch.neighbor_index[row])[mask]] = squares[:, mask]
    return shares


def _draw(name, symbols, ratios, marked, values, movers):
    figure = new_figure(8.6, 3.6)
    left, right = figure.subplots(1, 2)
    x = np.arange(len(ratios))
    for atom, symbol in enumerate(symbols):
        named = atom in marked
        left.semilogy(x, ratios[:, atom], color=COLORS.get(symbol, GREEN), lw=1.8 if named else 0.7, zorder=2 + named,
                      marker="o" if named else None, ms=3)  # fmt: skip
    lowest = ratios.argmin(0)
    for frame in set(lowest[marked].tolist()):
        atoms = [atom for atom in marked if lowest[atom] == frame]
        names = ", ".join(f"{symbols[atom]}{atom}" for atom in atoms)
        left.annotate(names, (frame, ratios[frame, atoms].min()), (7, -3), textcoords="offset points", fontsize=8)
    left.set_title(f"{name}: every center", fontsize=9)
    left.set_ylabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$, equilibrated", fontsize=9)

    most = movers.argmax(-1)
    right.semilogy(x, values, color="#DDDDDD", lw=0.6, zorder=1)
    for symbol in sorted(set(symbols)):
        atoms = [i for i, s in enumerate(symbols) if s == symbol]
        frame, k = np.nonzero(np.isin(most, atoms))
        right.scatter(frame, values[frame, k], 9, color=COLORS.get(symbol, GREEN), lw=0, label=f"{symbol} moves most")
    right.set_title(f"spectrum of {symbols[marked[0]]}{marked[0]}: σ$_k$/σ$_\\mathrm{{max}}$", fontsize=9)
    right.legend(fontsize=7.5, frameon=False, loc="lower left")
    for axes in (left, right):
        axes.set_xlabel("frame", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
