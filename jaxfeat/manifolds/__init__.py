"""Named families of environments, as differentiable maps from parameters to an `Environment`."""

from jaxfeat.geometry.following import FollowedCenter as FollowedCenter
from jaxfeat.geometry.following import follow_center as follow_center
from jaxfeat.geometry.following import follow_displacement as follow_displacement
from jaxfeat.geometry.matching import aligned as aligned
from jaxfeat.geometry.random import random_environments as random_environments
from jaxfeat.geometry.random import random_methane as random_methane
from jaxfeat.manifolds.families import MethaneFamily as MethaneFamily
from jaxfeat.manifolds.families import equal_radii as equal_radii
from jaxfeat.manifolds.families import pair as pair
from jaxfeat.manifolds.families import pair_family as pair_family
from jaxfeat.manifolds.families import planar as planar
from jaxfeat.manifolds.families import prl_methane as prl_methane
from jaxfeat.manifolds.families import ring as ring
from jaxfeat.manifolds.families import ring_pair as ring_pair
from jaxfeat.manifolds.manifold import AbstractManifold as AbstractManifold
from jaxfeat.manifolds.manifold import Family as Family
from jaxfeat.manifolds.manifold import Parameter as Parameter
from jaxfeat.manifolds.motions import displacement as displacement
from jaxfeat.manifolds.motions import interpolation as interpolation
from jaxfeat.manifolds.motions import trajectory as trajectory
