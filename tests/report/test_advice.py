"""The records of a grid lead to a recommendation, and to sentences that explain it."""

from records import GRID, NO_NEIGHBORS, ORDERS, basis_record

from jaxfeat.report.advice import explain_bases, growing_sizes, plateau_basis, recommend_basis, untruncated_basis


def sizes(found):
    return found and (found["n_max"], found["l_max"])


def test_the_smallest_has_the_fewest_features_and_truncates_nothing():
    assert sizes(untruncated_basis(GRID)) == (2, 4)
    assert untruncated_basis([basis_record(2, 2, truncated=1), basis_record(2, 4, ambiguous=1, truncated=1)]) is None
    # Environments that are ambiguous for the largest basis too do not count.
    assert sizes(
        untruncated_basis(
            [basis_record(2, 2, ambiguous=3), basis_record(2, 4, ambiguous=2), basis_record(4, 4, ambiguous=2)]
        )
    ) == (2, 4)
    # Of two bases with equally many features, the smaller l_max wins.
    assert sizes(
        untruncated_basis([basis_record(2, 3, n_features=9), basis_record(3, 2, n_features=9), basis_record(3, 3)])
    ) == (3, 2)


def test_the_plateau_is_within_a_factor_of_two_of_the_largest():
    assert sizes(plateau_basis(GRID)) == (4, 4)
    blind = [basis_record(4, 4, median=6e-3, least=4e-4), basis_record(4, 6, median=9e-3), basis_record(6, 6)]
    assert sizes(plateau_basis(blind)) == (4, 6)
    assert sizes(plateau_basis([basis_record(4, 4, truncated=1), basis_record(6, 6)])) == (6, 6)
    assert sizes(plateau_basis([basis_record(2, 2, known=False), basis_record(4, 4, known=False)])) == (2, 2)
    assert sizes(plateau_basis([basis_record(2, 2, known=False), basis_record(4, 4)])) == (4, 4)


def test_sizes_that_still_help_are_named():
    assert growing_sizes(GRID) == []
    assert growing_sizes(
        [basis_record(2, 2), basis_record(2, 4), basis_record(4, 2), basis_record(4, 4, median=3e-2)]
    ) == ["n_max", "l_max"]
    assert growing_sizes([basis_record(2, 4, median=1e-3), basis_record(4, 2, median=9e-3), basis_record(4, 4)]) == [
        "n_max"
    ]


def test_the_verdict_names_the_smallest_basis_and_the_bottleneck():
    first, second = explain_bases(GRID)
    assert first == "The smallest basis that truncates nothing is n_max 2, l_max 4, 20 features."
    assert second == (
        "l_max is the bottleneck: n_max 6, l_max 2 may truncate 3 of 2000 environments, n_max 2, l_max 6 truncates "
        "none."
    )
    grid = [basis_record(2, 2), basis_record(2, 4, median=1e-4), basis_record(4, 2, median=5e-4), basis_record(4, 4)]
    assert (
        "n_max is the bottleneck: the median of σ_vis/σ_max is 1.0e-04 with n_max 2, l_max 4, 5.0e-04"
        in explain_bases(grid)[1]
    )
    assert explain_bases([basis_record(2, 2), basis_record(2, 4), basis_record(4, 2), basis_record(4, 4)])[
        1
    ].startswith("Neither")
    assert len(explain_bases(GRID[:3])) == 1  # one n_max: nothing to compare with
    worst = [basis_record(2, 2, truncated=9), basis_record(4, 2, truncated=8, ambiguous=1)]
    assert (
        "Every basis of this grid truncates; n_max 2, l_max 2 does so least: it truncates 9 of"
        in explain_bases(worst)[0]
    )


def test_directions_that_no_basis_sees_are_counted():
    sentences = explain_bases([basis_record(2, 2, symmetric=5, incomplete=4, nearly=2, unclassified=3)])[1:]
    for sentence, words in zip(sentences, ("5 of 2000", "4 of 2000", "2 of 2000", "3 environments"), strict=True):
        assert sentence.startswith(words)


def test_the_advice_takes_the_lowest_order_that_leaves_fewest_incomplete():
    assert recommend_basis(GRID) == (
        "Take n_max 4, l_max 4 (80 features). The largest basis of this grid, n_max 6, l_max 6, has less than twice "
        "its σ_vis/σ_max in the median and for the blindest 1 % of environments."
    )
    assert recommend_basis(ORDERS).startswith("Take ν = 2, n_max 4, l_max 4")
    assert recommend_basis(ORDERS[:2]).startswith("Take n_max 2 (2 features)")
    assert recommend_basis(ORDERS[:2]).endswith(
        "ν = 1 misses directions in 1900 environments; only a higher order sees them."
    )
    rising = [basis_record(2, 2, median=1e-4), basis_record(4, 2, truncated=1)]
    assert "Every smaller basis of this grid truncates more, or has less than half" in recommend_basis(rising)
    assert (
        "It truncates 1 of 2000 environments. At n_max 4, l_max 2 the sensitivity still grows with n_max"
        in recommend_basis(rising)
    )
    assert recommend_basis([NO_NEIGHBORS]).startswith("No environment has neighbors")
    assert explain_bases([NO_NEIGHBORS]) == []
