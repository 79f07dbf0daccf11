"""Named families of environments: parameters in, `Environment` out, differentiable in between."""

from jaxfeat.manifolds.methane import MethaneFamily as MethaneFamily
from jaxfeat.manifolds.methane import prl_methane as prl_methane
from jaxfeat.manifolds.methane import random_methane as random_methane
from jaxfeat.manifolds.pair import pair_family as pair_family
from jaxfeat.manifolds.ring import ring_pair as ring_pair
