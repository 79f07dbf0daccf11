"""
Methanes that the power spectrum mistakes for each other
========================================================

On the grid of methanes of Pozdnyakov et al. (Phys. Rev. Lett. 125, 166001 (2020)) pairs of different molecules have
equal power spectra. The Jacobian is singular where the two members of a pair meet, at the end of the line of pairs, and
on further curves of which the pairs say nothing. At ν = 3 both are gone: *incompleteness*, which no basis lifts and a
higher order does. The circle is where the two members meet, the white curve is where opposite angles are equal, and the
dotted boxes are the published grid.
"""

import experiment

experiment.smoke("incompleteness_methane")
