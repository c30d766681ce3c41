"""The networks of the published preparation against golden numbers of the published code.

Importing this package loads no network. Golden folders hold inputs and outputs, and weights given by formulas; see
``tests/golden/README.md``.
"""

from idmvton.prepare.self_test.checks import NETWORKS, InstalledFile, Report, installed, run_checks
from idmvton.prepare.self_test.comparison import Comparison
from idmvton.prepare.self_test.golden import golden_folder

__all__ = ["NETWORKS", "Comparison", "InstalledFile", "Report", "golden_folder", "installed", "run_checks"]
