"""Human video to robot action: training data, policies and their evaluation for humanoids."""

__version__ = "0.1.0"
