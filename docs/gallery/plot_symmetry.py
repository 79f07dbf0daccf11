"""
What symmetry hides
===================

A displacement that breaks a symmetry of the environment cannot be seen to first order by anything smooth and
invariant. Such null directions are physics: no order and no basis lifts them, and they are counted apart from the blind
spots. Mirrors count unless pseudoscalars are kept, whose group is SO(3): a planar environment hides nothing from those.
"""

import experiment

experiment.smoke("symmetry")
