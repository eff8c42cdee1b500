"""What the checks of the manifests have in common: reading what kustomize built, and matching labels."""

import pathlib

import yaml

SERVICE = {"app.kubernetes.io/name": "cdn-activation"}


def load(path):
    """Returns the objects of a file that kustomize built."""
    return [o for o in yaml.safe_load_all(pathlib.Path(path).read_text()) if o]


def of_kind(objects, *kinds):
    """Returns the objects of these kinds."""
    return [o for o in objects if o["kind"] in kinds]


def title(thing):
    """Returns how a fault names an object."""
    return f"{thing['kind']} {thing['metadata']['name']}"


def labels_of(thing):
    """Returns the labels of an object or of a pod template."""
    return thing["metadata"].get("labels", {})


def workloads(objects):
    """Returns the objects that make pods."""
    return of_kind(objects, "Deployment", "Job")


def template(workload):
    """Returns the pod template of a workload."""
    return workload["spec"]["template"]


def containers(workload):
    """Returns the containers of a workload, those that run first included."""
    pod = template(workload)["spec"]
    return pod.get("initContainers", []) + pod["containers"]


def matches(selector, labels):
    """Returns whether all labels of a selector are among the labels."""
    return selector.items() <= labels.items()


def of_the_service(workload):
    """Returns whether a workload runs the service's own image."""
    return matches(SERVICE, labels_of(template(workload)))


def settings(container):
    """Returns the settings of a container that have a value in the manifest."""
    return {v["name"]: v["value"] for v in container.get("env", []) if "value" in v}
