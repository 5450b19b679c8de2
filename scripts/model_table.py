"""Write the table of the policy's sizes into docs/model.md, between its two comments."""

from __future__ import annotations

import re
from pathlib import Path

from vidpretrain.model.count import markdown
from vidpretrain.workflow.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "model.md"


def main() -> None:
    """Replace what stands between the comments."""
    text = PAGE.read_text(encoding="utf-8")
    made = re.sub(r"(<!-- sizes -->\n).*?(<!-- /sizes -->)", lambda m: m[1] + markdown() + m[2], text, flags=re.DOTALL)
    write_text(PAGE, made)


if __name__ == "__main__":
    main()
