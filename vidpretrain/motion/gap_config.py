"""How gaps in what was seen of a person are filled. Frozen, plain, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GapConfig:
    """Times in seconds.

    A gap of at most `fill_max_s` keeps what the fit says of it. A longer one, up to `impute_max_s`, is imputed from at
    most `context_s` on each side of it. A longer one still stays open: it splits the clip, or leaves that hand out.
    Labels at the ends of a gap are uncertain, from frame to frame, by the share `end_noise` of their sigma on each
    axis; nearly all of it lies along the ray to the camera, `ray_ratio` times what lies across it.
    All filled frames are marked as imputed, and their sigma grows with the distance from what was seen.
    """

    fill_max_s: float = 0.1
    impute_max_s: float = 0.35
    context_s: float = 0.4
    end_noise: float = 0.15
    ray_ratio: float = 6.5

    def __post_init__(self) -> None:
        if not 0 <= self.fill_max_s <= self.impute_max_s:
            raise ValueError(
                f"fill_max_s is between 0 and impute_max_s; found {self.fill_max_s} and {self.impute_max_s}"
            )
        if self.context_s <= 0 or self.end_noise < 0:
            raise ValueError(f"context_s is positive, end_noise not negative; found {self.context_s}, {self.end_noise}")
        if self.ray_ratio < 1:
            raise ValueError(f"ray_ratio is at least 1; found {self.ray_ratio}")

    def noise_along_and_across(self, sigma_m: float) -> tuple[float, float]:
        """Uncertainty in metres of one axis along the ray and across it, of labels whose axes have `sigma_m`."""
        across = self.end_noise * sigma_m * (3.0 / (self.ray_ratio**2 + 2.0)) ** 0.5
        return self.ray_ratio * across, across
