"""Makes `src/torchdx/report/page/vega.js`: Vega, Vega-Lite and Vega-Embed as one script.

    make vega

The libraries come out of `vl-convert-python`, whose version `constraints.txt` fixes; the same
version makes the same bytes. All three are under the BSD 3-Clause licence (University of
Washington Interactive Data Lab).
"""

from importlib.metadata import version
from pathlib import Path

import vl_convert

PLACE = Path(__file__).parents[1] / "src" / "torchdx" / "report" / "page" / "vega.js"


def bundle() -> str:
    """The script, with where it is from in its first lines."""
    said = (
        f"// Vega {vl_convert.get_vega_version()}, "
        f"Vega-Lite {vl_convert.get_vegalite_versions()[-1]}, "
        f"Vega-Embed {vl_convert.get_vega_embed_version()}: BSD 3-Clause licence, "
        "University of Washington Interactive Data Lab.\n"
        "// Made by scripts/bundle_vega.py from vl-convert-python "
        f"{version('vl-convert-python')}.\n"
    )
    return said + vl_convert.javascript_bundle() + "\n"


if __name__ == "__main__":
    PLACE.write_text(bundle(), encoding="utf-8")
    print(f"wrote {PLACE} ({PLACE.stat().st_size:,} bytes)")
