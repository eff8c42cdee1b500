"""Checks manifests against the schemas of the last six releases of Kubernetes.

Usage: check_schemas.py MANIFEST... Prints each fault, and exits with 1 if there is one. A PodMonitor and a PrometheusRule are
custom resources, whose schemas are not Kubernetes': check_references.py and promtool look at them.
"""

import pathlib
import sys

import kubernetes_validate
import manifests as m

CUSTOM = ("monitoring.coreos.com/",)
schemas = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
releases = sorted({tuple(map(int, d.name.lstrip("v").split("-")[0].split(".")))[:2] for d in schemas.iterdir() if d.name.startswith("v")})
faults = []
for release in releases[-6:]:
    for path in sys.argv[1:]:
        for thing in m.load(path):
            if thing["apiVersion"].startswith(CUSTOM):
                continue
            try:
                kubernetes_validate.validate(thing, ".".join(map(str, release)), strict=True)
            except Exception as fault:  # each kind of refusal is a fault
                faults.append(f"Kubernetes {release}: {pathlib.Path(path).stem}: {m.title(thing)}: {fault}")

names = ", ".join(".".join(map(str, release)) for release in releases[-6:])
print("\n".join(faults) or f"Kubernetes {names}: accepted")
sys.exit(bool(faults) or len(releases) < 6)
