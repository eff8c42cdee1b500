"""Checks the manifests against policies.py, and policies.py against manifests that break each policy.

Usage: check_policies.py BASE LOCAL PRODUCTION, files that kustomize built, in the top folder. Exits with 1 if there is a fault.
"""

import copy
import sys

import manifests as m
import policies

built = dict(zip(("base", "local", "production"), map(m.load, sys.argv[1:4]), strict=True))


class Objects:
    """The objects of a build, found by short names, for changes that break a policy."""

    def __init__(self, objects):
        self.all = copy.deepcopy(objects)

    def one(self, kind, name=None):
        """Returns the object of a kind, or its spec's owner with that name."""
        found = [o for o in m.of_kind(self.all, kind) if name in (None, o["metadata"]["name"])]
        return found[0]

    @property
    def deployment(self):
        """The Deployment of the service."""
        return self.one("Deployment", "cdn-activation")

    @property
    def pod(self):
        """The pod of that Deployment."""
        return self.deployment["spec"]["template"]["spec"]

    @property
    def container(self):
        """The container of that pod."""
        return self.pod["containers"][0]

    def setting(self, name, value):
        """Sets a setting, or removes it if the value is None."""
        env = [v for v in self.container["env"] if v["name"] != name]
        self.container["env"] = env + ([{"name": name, "value": value}] if value is not None else [])

    def without(self, kind):
        """Removes all objects of a kind."""
        self.all = [o for o in self.all if o["kind"] != kind]


def port_of_a_namespace(o):
    """Lets a namespace reach all ports."""
    del o.one("NetworkPolicy", "cdn-activation-ingress")["spec"]["ingress"][0]["ports"]


# Each breaks one policy of production, and the sentence must say which.
BREAKS = [
    ("may run as root", lambda o: o.pod["securityContext"].pop("runAsNonRoot")),
    ("may run as root", lambda o: o.one("Job")["spec"]["template"]["spec"]["securityContext"].update(runAsUser=0)),
    ("may run as root", lambda o: o.container["securityContext"].update(runAsUser=0)),
    ("seccomp", lambda o: o.pod["securityContext"]["seccompProfile"].update(type="Unconfined")),
    ("token of the Kubernetes API", lambda o: o.pod.pop("automountServiceAccountToken")),
    ("namespace of its node", lambda o: o.pod.update(hostNetwork=True)),
    ("volume", lambda o: o.pod["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    ("more privileges", lambda o: o.container["securityContext"].pop("allowPrivilegeEscalation")),
    ("more privileges", lambda o: o.container["securityContext"].update(privileged=True)),
    ("has capabilities", lambda o: o.container["securityContext"]["capabilities"].update(add=["NET_ADMIN"])),
    ("writable root", lambda o: o.container["securityContext"].update(readOnlyRootFilesystem=False)),
    ("port of its node", lambda o: o.container["ports"][0].update(hostPort=50051)),
    ("requests of both", lambda o: o.container["resources"]["requests"].pop("cpu")),
    ("requests of both", lambda o: o.container["resources"]["limits"].update(cpu="1")),
    ("not named by its digest", lambda o: o.container.update(image="registry.example/cdn-activation:0.1.0")),
    ("no fixed tag", lambda o: o.container.update(image="registry.example/cdn-activation:latest")),
    ("no fixed tag", lambda o: o.container.update(image="registry.example:5000/cdn-activation")),
    ("the probes are", lambda o: o.container["livenessProbe"]["httpGet"].update(path="/readyz")),
    ("the probes are", lambda o: o.container.pop("startupProbe")),
    ("minReadySeconds", lambda o: o.deployment["spec"].pop("minReadySeconds")),
    ("takes pods away", lambda o: o.deployment["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ("both wait", lambda o: o.container.update(lifecycle={"preStop": {"sleep": {"seconds": 5}}})),
    ("grace period", lambda o: o.setting("DRAIN_TIMEOUT", "60s")),
    ("grace period", lambda o: o.pod.pop("terminationGracePeriodSeconds")),
    ("is told a grace period of 30s", lambda o: o.setting("TERMINATION_GRACE_PERIOD", "30s")),
    ("CORES", lambda o: o.setting("CORES", "4")),
    ("neither TLS nor plaintext", lambda o: o.setting("TLS_CERT_FILE", None)),
    ("neither TLS nor plaintext", lambda o: o.setting("INSECURE_PLAINTEXT", "true")),
    ("spreads", lambda o: o.pod.pop("topologySpreadConstraints")),
    ("appProtocol", lambda o: o.one("Service", "cdn-activation-rest")["spec"]["ports"][0].update(appProtocol="http")),
    ("shows the ops port", lambda o: o.one("Service")["spec"]["ports"].append({"port": 9090, "targetPort": "ops"})),
    ("13 pods need 252 connections", lambda o: o.one("HorizontalPodAutoscaler")["spec"].update(maxReplicas=11)),
    ("14 pods need 271 connections", lambda o: o.deployment["spec"].update(minReadySeconds=10)),
    ("13 pods need 252 connections", lambda o: o.setting("DRAIN_TIMEOUT", "26s")),
    ("14 pods need 271 connections", lambda o: o.deployment["spec"]["strategy"]["rollingUpdate"].update(maxSurge=2)),
    ("21 pods need 404 connections", lambda o: o.deployment["spec"].pop("minReadySeconds")),
    ("connections", lambda o: o.setting("DB_CONNECTIONS", "32")),
    ("30 and 80 %", lambda o: o.one("HorizontalPodAutoscaler")["spec"]["metrics"][0]["resource"]["target"].update(averageValue="100m")),
    ("both set the number", lambda o: o.deployment["spec"].update(replicas=3)),
    ("a single pod", lambda o: o.one("HorizontalPodAutoscaler")["spec"].update(minReplicas=1)),
    ("not named by the version", lambda o: o.one("Job")["metadata"].update(name="cdn-activation-migrate")),
    ("deletes itself", lambda o: o.one("Job")["spec"].update(ttlSecondsAfterFinished=600)),
    ("Argo CD", lambda o: o.one("Job")["metadata"]["annotations"].pop("argocd.argoproj.io/hook-delete-policy")),
    ("Flux", lambda o: o.one("Job")["metadata"]["annotations"].pop("kustomize.toolkit.fluxcd.io/force")),
    ("version", lambda o: o.pod and o.deployment["spec"]["template"]["metadata"]["labels"].pop(policies.VERSION_LABEL)),
    ("version", lambda o: o.one("Service")["metadata"]["labels"].update({policies.VERSION_LABEL: "0.0.9"})),
    ("selector has the version", lambda o: o.one("Service")["spec"]["selector"].update({policies.VERSION_LABEL: policies.VERSION})),
    ("not denied by default", lambda o: o.one("NetworkPolicy", "cdn-activation-deny")["spec"].update(policyTypes=["Ingress"])),
    ("lets everybody in", lambda o: o.one("NetworkPolicy", "cdn-activation-ingress")["spec"]["ingress"][2].pop("from")),
    ("the policies let in", port_of_a_namespace),
    ("the policies let in", lambda o: o.container["ports"].append({"name": "debug", "containerPort": 6060})),
    ("cannot be reached", lambda o: o.one("NetworkPolicy", "cdn-activation-egress")["spec"]["egress"].pop()),
    ("no PodDisruptionBudget", lambda o: o.without("PodDisruptionBudget")),
    ("no PodMonitor", lambda o: o.without("PodMonitor")),
    ("no PrometheusRule", lambda o: o.without("PrometheusRule")),
    ("no NetworkPolicy", lambda o: o.without("NetworkPolicy")),
    ("no HorizontalPodAutoscaler", lambda o: o.without("HorizontalPodAutoscaler") or o.deployment["spec"].update(replicas=3)),
    ("a Secret", lambda o: o.all.append({"kind": "Secret", "metadata": {"name": "key", "namespace": "cdn"}})),
    ("namespaces", lambda o: o.one("Service")["metadata"].pop("namespace")),
]

found = [f"{overlay}: {fault}" for overlay, objects in built.items() for fault in policies.faults(objects, overlay)]
for expected, change in BREAKS:
    changed = Objects(built["production"])
    change(changed)
    said = policies.faults(changed.all, "production")
    if not any(expected in fault for fault in said):
        found.append(f"a manifest that breaks the policy '{expected}' was accepted: {said}")

print("\n".join(found) or f"the base and the overlays keep the policies, and {len(BREAKS)} changes that break one were refused")
sys.exit(bool(found))
