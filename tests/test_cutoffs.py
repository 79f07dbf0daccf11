import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.cutoffs import NoCutoff, ShiftedCosine, Smoothstep, Willatt2018, Zhu2016
from jaxfeat.errors import BasisError

R_CUT = 4.0
WINDOWS = [ShiftedCosine(0.5), ShiftedCosine(R_CUT), Smoothstep(1.0), Smoothstep(0.3)]
ids = [f"{type(window).__name__}({float(window.width):g})" for window in WINDOWS]


@eqx.filter_jit
def _derivatives(window, r, order):
    """Evaluate the window and its first `order` derivatives at each r: `(order + 1, len(r))`."""
    functions = [lambda x: window(x, jnp.asarray(R_CUT))]
    for _ in range(order):
        functions.append(jax.grad(functions[-1]))
    return jax.vmap(lambda x: jnp.stack([f(x) for f in functions]))(r).T


@pytest.mark.parametrize("window", WINDOWS, ids=ids)
def test_windows_are_as_smooth_as_they_declare_and_no_smoother(window):
    width, smoothness = float(window.width), window.smoothness
    on, eps = R_CUT - width, 1e-7
    r = jnp.asarray([on - eps, on + eps, R_CUT - eps, R_CUT + eps, on, R_CUT])
    found = np.asarray(_derivatives(window, r, smoothness + 1))
    scaled = found * width ** np.arange(smoothness + 2)[:, None]  # derivatives in units of the width
    jump_on, jump_off = np.abs(scaled[:, 1] - scaled[:, 0]), np.abs(scaled[:, 3] - scaled[:, 2])
    assert (jump_on[:-1] < 0.1).all()
    assert (jump_off[:-1] < 0.1).all()
    assert jump_on[-1] > 1
    assert jump_off[-1] > 1
    # The derivatives vanish at the ends themselves, too.
    assert np.abs(scaled[: smoothness + 1, 4:] - [[1, 0], *[[0, 0]] * smoothness]).max() < 1e-10


@pytest.mark.parametrize("window", WINDOWS, ids=ids)
def test_windows_fall_from_one_to_zero(window):
    width = float(window.width)
    r = np.linspace(0, 1.5 * R_CUT, 301)
    values = np.asarray(window(jnp.asarray(r), jnp.asarray(R_CUT)))
    assert np.abs(values[r <= R_CUT - width] - 1).max() < 1e-13
    assert (values[r >= R_CUT] == 0).all()
    assert (np.diff(values[(r > R_CUT - width) & (r < R_CUT)]) < 0).all()
    assert window(jnp.asarray(R_CUT - width / 2), jnp.asarray(R_CUT)) == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("window", [*WINDOWS, NoCutoff(), Zhu2016()], ids=[*ids, "NoCutoff", "Zhu2016"])
def test_weights_and_slopes_in_numpy_are_those_of_the_compiled_program(window):
    r = np.linspace(0.01, 1.2 * R_CUT, 201)
    found = np.asarray(window.with_slope(r, R_CUT))
    np.testing.assert_allclose(found, np.asarray(_derivatives(window, jnp.asarray(r), 1)), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rate", [0.0, 0.7])
def test_the_radial_scaling_and_its_slope_in_numpy_are_those_of_the_compiled_program(rate):
    scaling, r = Willatt2018(scale=1.6, rate=rate, exponent=3.0), np.linspace(0.3, R_CUT, 50)
    slope = jax.vmap(jax.grad(scaling))(jnp.asarray(r))
    np.testing.assert_allclose(scaling.with_slope(r), [scaling(jnp.asarray(r)), slope], rtol=1e-13)


def test_the_smooth_window_and_its_slope_are_exact_to_rounding_at_both_ends():
    r = np.linspace(3.0, R_CUT, 1001)
    weight, slope = np.asarray(_derivatives(Smoothstep(1.0), jnp.asarray(r), 1))
    u = np.longdouble(R_CUT) - r
    exact = u**5 * (126 + u * (-420 + u * (540 + u * (-315 + 70 * u))))
    assert np.abs(weight - exact).max() < 64 * np.finfo(float).eps
    assert np.abs(slope + 630 * (u * (1 - u)) ** 4).max() < 256 * np.finfo(float).eps


def test_the_default_lets_a_search_differentiate_three_times():
    assert Smoothstep().smoothness >= 3


def test_the_smooth_window_is_its_polynomial_and_keeps_its_digits_in_the_tail():
    t = np.array([0.1, 0.35, 0.8, 0.999])
    # The step with four vanishing derivatives at both ends, in its usual form: one minus this.
    step = 70 * t**9 - 315 * t**8 + 540 * t**7 - 420 * t**6 + 126 * t**5
    found = np.asarray(Smoothstep(1.0)(jnp.asarray(3.0 + t), jnp.asarray(R_CUT)))
    assert np.abs(found - (1 - step)).max() < 1e-13
    u = 1 - (3.0 + t[-1] - 3.0)
    assert found[-1] == pytest.approx(126 * u**5 - 420 * u**6 + 540 * u**7, rel=1e-8)


def test_the_cosine_is_featomics():
    r = np.linspace(0.1, 4.2, 50)
    inside = 0.5 * (1 + np.cos(np.pi * (r - R_CUT + 0.5) / 0.5))
    expected = np.where(r <= R_CUT - 0.5, 1, np.where(r >= R_CUT, 0, inside))
    found = ShiftedCosine(0.5)(jnp.asarray(r), jnp.asarray(R_CUT))
    assert np.abs(np.asarray(found) - expected).max() < 1e-15


def test_no_cutoff_counts_every_neighbor():
    assert (np.asarray(NoCutoff()(jnp.linspace(0, 9, 10), jnp.asarray(R_CUT))) == 1).all()
    assert NoCutoff().smoothness == -1
    NoCutoff().check(R_CUT)


@pytest.mark.parametrize("width", [0.0, -1.0, 4.1, np.nan])
@pytest.mark.parametrize("window", [ShiftedCosine, Smoothstep])
def test_windows_that_do_not_fit_are_refused(window, width):
    with pytest.raises(BasisError, match=r"the cutoff's width is .* within r_cut = 4 Å"):
        window(width).check(R_CUT)


@pytest.mark.parametrize("rate, exponent", [(1.5, 3.0), (0.7, 1.0), (0.0, 2.0), (0.0, 0.0)])
def test_radial_scaling_is_that_of_willatt(rate, exponent):
    r = np.array([0.05, 0.4, 1.6, 3.9])
    expected = rate / (rate + (r / 1.6) ** exponent) if rate else (1.6 / r) ** exponent
    scaling = Willatt2018(scale=1.6, rate=rate, exponent=exponent)
    assert np.abs(np.asarray(scaling(jnp.asarray(r))) / expected - 1).max() < 1e-14
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(scaling)))(jnp.asarray(r)))
    power = exponent * (r / 1.6) ** exponent / r
    exact = -rate * power / (rate + (r / 1.6) ** exponent) ** 2 if rate else -exponent / r * expected
    assert np.abs(slopes - exact).max() < 1e-13 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("parameters", [(0.0, 1.0, 2.0), (1.0, -1.0, 2.0), (1.0, 1.0, -2.0), (np.nan, 1.0, 1.0)])
def test_radial_scaling_refuses_parameters_that_give_no_weight(parameters):
    with pytest.raises(BasisError, match="scale must be positive, and the others must not be negative"):
        Willatt2018(*parameters)


@pytest.mark.parametrize(
    "window", [*WINDOWS[1:3], NoCutoff(), lambda r, _: Willatt2018(1.6, 1.5, 3.0)(r)], ids=lambda w: type(w).__name__
)
def test_float32_stays_float32(window):
    single = window(jnp.asarray([0.7, 3.4], jnp.float32), jnp.asarray(R_CUT, jnp.float32))
    assert single.dtype == jnp.float32
    assert np.allclose(single, window(jnp.asarray([0.7, 3.4]), jnp.asarray(R_CUT)), rtol=1e-5, atol=0)


def test_windows_print_their_numbers():
    assert repr(Smoothstep()) == "Smoothstep(width = 1 Å)" and repr(NoCutoff()) == "NoCutoff()"
    assert repr(Willatt2018(1.6, 1.5, 3)) == "Willatt2018(scale = 1.6 Å, rate = 1.5, exponent = 3)"
    seen = []
    jax.jit(lambda width: seen.append(repr(ShiftedCosine(width))))(0.5)
    assert seen == ["ShiftedCosine(width = traced Å)"]


def test_the_amplitude_of_overlap_matrices_has_the_smoothness_that_it_declares():
    window, r = Zhu2016(), jnp.asarray([0.5 * R_CUT, R_CUT - 1e-7, R_CUT + 1e-7])
    values, slopes, curvatures = np.asarray(_derivatives(window, r, window.smoothness + 1))
    assert values[0] == pytest.approx(0.75**2) and slopes[0] == pytest.approx(-0.75 * 2 / R_CUT)
    assert np.abs([values[1:], slopes[1:]]).max() < 1e-6 and curvatures[1] - curvatures[2] > 0.1
