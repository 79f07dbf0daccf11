"""Named families of environments: parameters in, `Environment` out, differentiable in between."""

from jaxfeat.geometry.align import aligned as aligned
from jaxfeat.geometry.random import random_environments as random_environments
from jaxfeat.manifolds.manifold import AbstractManifold as AbstractManifold
from jaxfeat.manifolds.manifold import Family as Family
from jaxfeat.manifolds.manifold import Parameter as Parameter
from jaxfeat.manifolds.methane import MethaneFamily as MethaneFamily
from jaxfeat.manifolds.methane import prl_methane as prl_methane
from jaxfeat.manifolds.methane import random_methane as random_methane
from jaxfeat.manifolds.pair import pair as pair
from jaxfeat.manifolds.pair import pair_family as pair_family
from jaxfeat.manifolds.path import displacement as displacement
from jaxfeat.manifolds.path import interpolation as interpolation
from jaxfeat.manifolds.path import trajectory as trajectory
from jaxfeat.manifolds.planar import planar as planar
from jaxfeat.manifolds.ring import ring as ring
from jaxfeat.manifolds.ring import ring_pair as ring_pair
from jaxfeat.manifolds.sphere import equal_radii as equal_radii
