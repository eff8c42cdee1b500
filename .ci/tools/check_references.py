"""Checks what a schema cannot: names in a manifest that must exist in another place.

Usage: check_references.py MANIFEST.., in the top folder. Prints each fault, and exits with 1 if there is one.
"""

import pathlib
import re
import sys

import manifests as m

sources = "\n".join(file.read_text() for file in sorted(pathlib.Path("src").rglob("*.rs"))).lower()
image = pathlib.Path("deploy/Dockerfile").read_text()
faults = []


def check_base_images():
    """Checks that each image in the Dockerfile is named by its digest: a tag names another image tomorrow."""
    stages = set()
    for line in re.findall(r"^FROM +(.+)$", image, re.MULTILINE):
        base, _, stage = line.partition(" AS ")
        if base not in {*stages, "scratch"} and not re.fullmatch(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}", base):
            faults.append(f"Dockerfile: {base} is not IMAGE:TAG@sha256:DIGEST")
        stages.add(stage)
    if not stages:
        faults.append("Dockerfile: no FROM")


def check_setting(where, name):
    """Checks that a setting exists, because a misspelt one has no effect and causes no error."""
    if not re.search(rf"\b{name.lower()}\b", sources):
        faults.append(f"{where}: no setting {name} in src/")


def check_selector(objects, where, selector):
    """Checks that a selector matches the pods of one Deployment, and not those of the migration, which take no calls."""
    found = [w["kind"] for w in m.workloads(objects) if m.matches(selector, m.labels_of(m.template(w)))]
    if found != ["Deployment"]:
        faults.append(f"{where}: selector {selector} matches the pods of {found}")


def check_workload(where, objects, workload):
    """Checks the settings, probes, mounts and constraints of a workload."""
    pod = m.template(workload)["spec"]
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    mounted = set()
    for container in m.containers(workload):
        ports = {port["name"] for port in container.get("ports", [])}
        if m.of_the_service(workload):
            for setting in container.get("env", []):
                check_setting(where, setting["name"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if port is not None and port not in ports:
                faults.append(f"{where}: {probe} names a port that does not exist")
        mounts = container.get("volumeMounts", [])
        mounted |= {mount["name"] for mount in mounts}
        paths = [mount["mountPath"] + "/" for mount in mounts]
        for name, value in m.settings(container).items():
            if name.endswith("_FILE") and not any(value.startswith(path) for path in paths):
                faults.append(f"{where}: {name} is outside of all volumes")
    if mounted != volumes:
        faults.append(f"{where}: volumes {sorted(volumes)}, and mounts {sorted(mounted)}")
    for constraint in pod.get("topologySpreadConstraints", []):
        check_selector(objects, where, constraint["labelSelector"]["matchLabels"])


def check_objects(objects):
    """Checks the references between the objects of one build."""
    for workload in m.workloads(objects):
        check_workload(m.title(workload), objects, workload)
    ports = {
        (port["name"], w["metadata"]["name"])
        for w in m.of_kind(objects, "Deployment")
        for c in m.containers(w)
        for port in c.get("ports", [])
    }
    names = {port for port, _ in ports}
    for service in m.of_kind(objects, "Service"):
        check_selector(objects, m.title(service), service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in names:
                faults.append(f"{m.title(service)}: no container port {port['targetPort']}")
    for thing in m.of_kind(objects, "PodDisruptionBudget", "PodMonitor"):
        check_selector(objects, m.title(thing), thing["spec"]["selector"]["matchLabels"])
    for monitor in m.of_kind(objects, "PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] not in names:
                faults.append(f"{m.title(monitor)}: no container port {endpoint['port']}")
    for scaler in m.of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        if target not in [w["metadata"]["name"] for w in m.of_kind(objects, "Deployment")]:
            faults.append(f"{m.title(scaler)}: no Deployment {target}")


count = 0
for path in sys.argv[1:]:
    objects = m.load(path)
    count += len(objects)
    check_objects(objects)
check_base_images()
for line in re.findall(r"^ENV (?:.*\\\n)*.*$", image, re.MULTILINE):
    for name in re.findall(r"\b([A-Z][A-Z_]+)=", line):
        check_setting("Dockerfile", name)

print("\n".join(faults) or f"{count} objects, all references resolve")
sys.exit(bool(faults))
