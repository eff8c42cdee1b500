"""Checks what a schema cannot: names in a manifest that must exist in another place.

Usage: check_references.py MANIFEST, in the top folder. Prints each fault, and exits with 1 if there is one.
"""

import pathlib
import re
import sys

import yaml

objects = list(yaml.safe_load_all(pathlib.Path(sys.argv[1]).read_text()))
sources = "\n".join(file.read_text() for file in sorted(pathlib.Path("src").rglob("*.rs"))).lower()
image = pathlib.Path("deploy/Dockerfile").read_text()
faults = []


def of_kind(*kinds):
    return [o for o in objects if o["kind"] in kinds]


def check_base_images():
    """Checks that each image in the Dockerfile is named by its digest: a tag names another image tomorrow."""
    stages = set()
    for line in re.findall(r"^FROM +(.+)$", image, re.MULTILINE):
        base, _, stage = line.partition(" AS ")
        if base not in stages and not re.fullmatch(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}", base):
            faults.append(f"Dockerfile: {base} is not IMAGE:TAG@sha256:DIGEST")
        stages.add(stage)
    if not stages:
        faults.append("Dockerfile: no FROM")


def check_selector(where, selector):
    """Checks that a selector matches only the Deployment's pods: a Service must not send calls to the migration."""
    for workload in of_kind("Deployment", "Job"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        if (selector.items() <= labels.items()) != (workload["kind"] == "Deployment"):
            faults.append(f"{where}: selector {selector} against the pods of {workload['kind']}")


def check_setting(where, name):
    """Checks that a setting exists, because a misspelt one has no effect and causes no error."""
    if not re.search(rf"\b{name.lower()}\b", sources):
        faults.append(f"{where}: no setting {name} in src/")


ports = set()
for workload in of_kind("Deployment", "Job"):
    pod = workload["spec"]["template"]["spec"]
    for container in pod["containers"]:
        where = f"{workload['kind']} {container['name']}"
        own_ports = {port["name"] for port in container.get("ports", [])}
        ports |= own_ports
        for setting in container.get("env", []):
            check_setting(where, setting["name"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container and container[probe]["httpGet"]["port"] not in own_ports:
                faults.append(f"{where}: {probe} names a port that does not exist")
    for constraint in pod.get("topologySpreadConstraints", []):
        check_selector(workload["kind"], constraint["labelSelector"]["matchLabels"])
for service in of_kind("Service"):
    where = f"Service {service['metadata']['name']}"
    check_selector(where, service["spec"]["selector"])
    for port in service["spec"]["ports"]:
        if port["targetPort"] not in ports:
            faults.append(f"{where}: no container port {port['targetPort']}")
for budget in of_kind("PodDisruptionBudget"):
    check_selector("PodDisruptionBudget", budget["spec"]["selector"]["matchLabels"])
check_base_images()
for name in re.findall(r"\b([A-Z][A-Z_]+)=", image):
    check_setting("Dockerfile", name)
if of_kind("Secret"):
    faults.append("a Secret: its values must not be in the repository")

print("\n".join(faults) or f"{len(objects)} objects, all references resolve")
sys.exit(bool(faults))
