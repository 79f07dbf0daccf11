"""
What a finite basis hides
=========================

A basis that is too short has null directions that a longer one has not: *truncation*. With all neighbors at one
distance, as the hydrogens of methane, further radial functions soon help no more, and the rank of the power spectrum's
Jacobian grows with l_max alone; at unequal distances n_max and l_max stand in for each other. The width σ of the
Gaussians takes no rank away, but sensitivity.
"""

import experiment

experiment.smoke("truncation")
