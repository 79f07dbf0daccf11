"""Named families of environments, as differentiable maps from parameters to an `Environment`."""

from jaxfeat.geometry.matching import aligned as aligned
from jaxfeat.geometry.random import random_environments as random_environments
from jaxfeat.geometry.random import random_methane as random_methane
from jaxfeat.manifolds.manifold import AbstractManifold as AbstractManifold
from jaxfeat.manifolds.manifold import Family as Family
from jaxfeat.manifolds.manifold import Parameter as Parameter
from jaxfeat.manifolds.motions import displacement as displacement
from jaxfeat.manifolds.motions import interpolation as interpolation
from jaxfeat.manifolds.motions import trajectory as trajectory
from jaxfeat.manifolds.pairs import MethaneFamily as MethaneFamily
from jaxfeat.manifolds.pairs import pair as pair
from jaxfeat.manifolds.pairs import pair_family as pair_family
from jaxfeat.manifolds.pairs import prl_methane as prl_methane
from jaxfeat.manifolds.pairs import ring as ring
from jaxfeat.manifolds.pairs import ring_pair as ring_pair
from jaxfeat.manifolds.special import equal_radii as equal_radii
from jaxfeat.manifolds.special import planar as planar
