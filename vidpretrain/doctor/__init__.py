"""What this machine has and lacks: `doctor` checks it row by row, `robots` lists the robots.

Nothing here raises for a missing part: a row says `fail` and which command helps.
"""

from __future__ import annotations

from vidpretrain.doctor.inventory import robots
from vidpretrain.doctor.run import doctor

__all__ = ["doctor", "robots"]
