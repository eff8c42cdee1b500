"""The policies of the manifests: what a cluster would accept, and an operator would regret.

`faults(objects, overlay)` returns one sentence for each fault. The overlay is base, local or production.
"""

import math
import pathlib
import re
import tomllib

import manifests as m

# Beside DB_CONNECTIONS, a pod has one connection that listens for events, one for /readyz, and for a moment one that tries a new
# content of DATABASE_URL_FILE.
OWN_CONNECTIONS = 3
# Of the migration, and those that PostgreSQL reserves for superusers.
OTHER_CONNECTIONS = 2 + 3
ALLOWED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
VERSION = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["package"]["version"]
VERSION_LABEL = "app.kubernetes.io/version"


def seconds(text):
    """Returns the seconds of a duration as the service reads it, for the units that the manifests use."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)?", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, None: 1}[unit]


def cores(quantity):
    """Returns the cores of a quantity of CPU time."""
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def restricted(workload):
    """Pod Security "restricted", and more: no writable root, no token of the API."""
    pod = m.template(workload)["spec"]
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser") or not context.get("runAsGroup"):
        yield "the pod may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the seccomp profile is not RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of the Kubernetes API"
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        yield "the pod shares a namespace of its node"
    for volume in pod.get("volumes", []):
        if not volume.keys() - {"name"} <= ALLOWED_VOLUMES:
            yield f"the type of the volume {volume['name']} is not allowed"
    for container in m.containers(workload):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "a container may get more privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield "a container has capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "a container has a writable root"
        if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
            yield "a container may run as root"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "a container takes a port of its node"


def resources(workload):
    """Requests, and a limit of memory only: a limit of CPU time delays requests even on an idle node."""
    for container in m.containers(workload):
        given = container.get("resources", {})
        if not {"cpu", "memory"} <= given.get("requests", {}).keys() or given.get("limits", {}).keys() != {"memory"}:
            yield "resources are not requests of both and a limit of memory"


def images(workload, overlay):
    """An image has a tag that is not latest. Production names the service by its digest."""
    for container in m.containers(workload):
        image = container["image"]
        by_digest = re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", image)
        tag = re.fullmatch(r"[\w./-]+(?::\d+/[\w./-]+)?:([\w.-]+)", image)
        if overlay == "production" and not by_digest:
            yield f"the image {image} is not named by its digest"
        if not by_digest and (not tag or tag[1] == "latest"):
            yield f"the image {image} has no fixed tag"


def serving(deployment, overlay):
    """How the pods of the service start, end, and divide their cores."""
    spec, pod = deployment["spec"], m.template(deployment)["spec"]
    (container,) = pod["containers"]
    values = m.settings(container)
    paths = {p: container.get(p, {}).get("httpGet", {}).get("path") for p in ("startupProbe", "livenessProbe", "readinessProbe")}
    if paths != {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}:
        yield f"the probes are {paths}"
    if not spec.get("minReadySeconds"):
        yield "minReadySeconds is not set"
    if spec.get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
        yield "a rollout takes pods away before new ones are ready"
    if "preStop" in container.get("lifecycle", {}):
        yield "preStop and DRAIN_DELAY would both wait"
    drain = seconds(values["DRAIN_DELAY"]) + seconds(values["DRAIN_TIMEOUT"])
    if drain + 5 > pod.get("terminationGracePeriodSeconds", 30):
        yield f"the grace period ends before a drain of {drain:g} s"
    told = values.get("TERMINATION_GRACE_PERIOD")
    if told is not None and seconds(told) != pod.get("terminationGracePeriodSeconds", 30):
        yield f"the service is told a grace period of {told}, which is not the pod's"
    if "CORES" not in values or int(values["CORES"]) * 8 > int(values["DB_CONNECTIONS"]):
        yield "CORES is not set, or has less than eight connections for each"
    secured, plaintext = "TLS_CERT_FILE" in values, values.get("INSECURE_PLAINTEXT") == "true"
    if (secured, plaintext) != {"base": (False, False), "local": (False, True), "production": (True, False)}[overlay]:
        yield "neither TLS nor plaintext, or the wrong one"
    if not pod.get("topologySpreadConstraints"):
        yield "nothing spreads the pods over nodes and zones"


def protocols(objects):
    """The appProtocol of each Service says whether its port has TLS."""
    (deployment,) = [w for w in m.of_kind(objects, "Deployment") if m.of_the_service(w)]
    secured = "TLS_CERT_FILE" in m.settings(deployment["spec"]["template"]["spec"]["containers"][0])
    expected = {"grpc": "https", "rest": "https"} if secured else {"grpc": "kubernetes.io/h2c", "rest": "http"}
    for service in m.of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            wanted = expected.get(port["targetPort"])
            if wanted and port.get("appProtocol") != wanted:
                yield f"{m.title(service)}: the appProtocol is not {wanted}"
            if port["targetPort"] == "ops":
                yield f"{m.title(service)}: a Service shows the ops port"


def pods_of_a_rollout(deployment, wanted):
    """Returns the most pods that there can be at once. The surge replaces as many pods in each minReadySeconds, and Kubernetes does
    not count a pod that ends: it has its connections until its drain is over."""
    spec = deployment["spec"]
    values = m.settings(spec["template"]["spec"]["containers"][0])
    drain = seconds(values["DRAIN_DELAY"]) + seconds(values["DRAIN_TIMEOUT"])
    surge = spec["strategy"]["rollingUpdate"]["maxSurge"]
    ending = surge * math.ceil(drain / spec["minReadySeconds"]) if spec.get("minReadySeconds") else wanted
    return wanted + surge + min(ending, wanted)


def connections(objects):
    """All pods of a rollout together have fewer connections than the database."""
    (deployment,) = [w for w in m.of_kind(objects, "Deployment") if m.of_the_service(w)]
    values = m.settings(deployment["spec"]["template"]["spec"]["containers"][0])
    scalers = m.of_kind(objects, "HorizontalPodAutoscaler")
    if len(scalers) == 1:
        pods = scalers[0]["spec"]["maxReplicas"]
        (metric,) = scalers[0]["spec"]["metrics"]
        target = metric["resource"]["target"].get("averageValue", "0")
        if not 0.3 * float(values["CORES"]) <= cores(target) <= 0.8 * float(values["CORES"]):
            yield f"the autoscaler's target of {target} is not between 30 and 80 % of the CORES"
        if "replicas" in deployment["spec"]:
            yield "the Deployment and the autoscaler both set the number of pods"
        fewest = scalers[0]["spec"]["minReplicas"]
    else:
        pods = fewest = deployment["spec"].get("replicas", 1)
    if fewest < 2:
        yield "a single pod"
    pods = pods_of_a_rollout(deployment, pods)
    needed = pods * (int(values["DB_CONNECTIONS"]) + OWN_CONNECTIONS) + OTHER_CONNECTIONS
    allowed = int(deployment["metadata"]["annotations"]["cdn-activation/max-connections"])
    if needed > allowed:
        yield f"{pods} pods need {needed} connections, and max-connections is {allowed}"


def migration(objects):
    """Each release has a Job of its own, which neither the cluster nor an operator of manifests changes or deletes."""
    (job,) = m.of_kind(objects, "Job")
    if job["metadata"]["name"] != f"cdn-activation-migrate-{VERSION}":
        yield f"the Job {job['metadata']['name']} is not named by the version {VERSION}"
    if "ttlSecondsAfterFinished" in job["spec"]:
        yield "the Job deletes itself, and would be created again"
    notes = job["metadata"].get("annotations", {})
    if notes.get("argocd.argoproj.io/hook-delete-policy") != "BeforeHookCreation":
        yield "Argo CD would change the Job"
    if notes.get("kustomize.toolkit.fluxcd.io/force") != "enabled":
        yield "Flux would change the Job"


def versions(objects):
    """The version is in the labels of the objects and pods that a release replaces, and in no selector."""
    for thing in m.of_kind(objects, "Deployment", "Job", "Service", "ServiceAccount", "PodDisruptionBudget"):
        if not m.matches(m.SERVICE, m.labels_of(thing)):
            continue
        pods = [m.labels_of(m.template(thing))] if thing["kind"] in ("Deployment", "Job") else []
        if any(labels.get(VERSION_LABEL) != VERSION for labels in [m.labels_of(thing), *pods]):
            yield f"{m.title(thing)}: {VERSION_LABEL} is not {VERSION}"
        if VERSION_LABEL in str(thing.get("spec", {}).get("selector", "")):
            yield f"{m.title(thing)}: a selector has the version"


def network(objects):
    """Everything is denied but what is listed, and each port of a pod is listed."""
    policies = m.of_kind(objects, "NetworkPolicy")
    deny = [p["spec"] for p in policies if not p["spec"].get("ingress") and not p["spec"].get("egress")]
    pods = [w for w in m.workloads(objects) if m.of_the_service(w)]
    for workload in pods:
        labels = m.labels_of(m.template(workload))
        own = [p["spec"] for p in policies if m.matches(p["spec"]["podSelector"].get("matchLabels", {}), labels)]
        if not any(p in own and set(p["policyTypes"]) == {"Ingress", "Egress"} for p in deny):
            yield f"{m.title(workload)}: connections are not denied by default"
        let_in = [rule for p in own for rule in p.get("ingress", [])]
        if any(not rule.get("from") or any(not peer for peer in rule["from"]) for rule in let_in):
            yield f"{m.title(workload)}: a rule lets everybody in"
        ports = {port["name"] for c in m.containers(workload) for port in c.get("ports", [])}
        open_ports = [{port["port"] for port in rule.get("ports", [])} for rule in let_in]
        if ports != set().union(*open_ports) or any(not some for some in open_ports):
            yield f"{m.title(workload)}: the policies let in {open_ports} of {sorted(ports)}"
        let_out = {
            (port.get("protocol", "TCP"), port["port"])
            for p in own for rule in p.get("egress", []) for port in rule.get("ports", [])
        }
        if not {("UDP", 53), ("TCP", 53), ("TCP", 5432)} <= let_out:
            yield f"{m.title(workload)}: DNS or PostgreSQL cannot be reached"


def complete(objects, overlay):
    """What an overlay must have, and must not."""
    kinds = {o["kind"] for o in objects}
    if "PodDisruptionBudget" not in kinds:
        yield "no PodDisruptionBudget"
    for kind in ("HorizontalPodAutoscaler", "NetworkPolicy", "PodMonitor", "PrometheusRule"):
        if overlay == "production" and kind not in kinds:
            yield f"production has no {kind}"
    if overlay != "local" and "Secret" in kinds:
        yield "a Secret: its values must not be in the repository"
    spaces = {o["metadata"].get("namespace") for o in objects if o["kind"] != "Namespace"}
    if len(spaces) != 1 or (overlay == "base") != (spaces == {None}):
        yield f"the objects are in the namespaces {spaces}"


def faults(objects, overlay):
    """Returns the faults of what kustomize built from the base or an overlay."""
    found = []
    for workload in m.workloads(objects):
        checks = [restricted(workload), resources(workload)]
        if m.of_the_service(workload):
            checks.append(images(workload, overlay))
            if workload["kind"] == "Deployment":
                checks.append(serving(workload, overlay))
        else:
            checks.append(images(workload, "base"))
        found += [f"{m.title(workload)}: {fault}" for check in checks for fault in check]
    for check in (protocols(objects), connections(objects), migration(objects), versions(objects), complete(objects, overlay)):
        found += check
    if m.of_kind(objects, "NetworkPolicy"):
        found += network(objects)
    return found
