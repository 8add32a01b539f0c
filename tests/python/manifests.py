"""Reads the Kubernetes manifests in a folder as a cluster would.

    manifests.py FOLDER check             checks what belongs together; a line for each thing wrong
    manifests.py FOLDER config NAME FILE  prints a file of the ConfigMap NAME
    manifests.py FOLDER args NAME [KEY=VALUE...]
                                          prints the words behind the image's entry point of the
                                          container NAME, a line each, with its environment and
                                          the given one put in
    manifests.py FOLDER env NAME          prints its environment, KEY=VALUE a line
"""

import pathlib
import re
import sys

import yaml

PORTS = {"control": 5570, "data": 5571, "weights": 5572, "gradients": 5573}


def load(folder):
    return [
        document
        for file in sorted(pathlib.Path(folder).glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]


def of_kind(documents, *kinds):
    return [d for d in documents if d["kind"] in kinds]


def pod(workload):
    return workload["spec"]["template"]["spec"]


def containers(documents):
    for workload in of_kind(documents, "Job", "Deployment"):
        for container in pod(workload).get("initContainers", []) + pod(workload)["containers"]:
            yield workload, container


def container(documents, name):
    return next(c for _, c in containers(documents) if c["name"] == name)


def environment(container):
    return {e["name"]: e.get("value", "pod-" + container["name"]) for e in container.get("env", [])}


def words(container, given):
    values = environment(container) | given
    return [re.sub(r"\$\((\w+)\)", lambda m: values[m[1]], word) for word in container["args"]]


def check(documents, commands):
    """Yields what is wrong; commands: those of the program."""
    services = {d["metadata"]["name"]: d for d in of_kind(documents, "Service")}
    maps = {d["metadata"]["name"] for d in of_kind(documents, "ConfigMap")}
    claims = {d["metadata"]["name"] for d in of_kind(documents, "PersistentVolumeClaim")}
    workloads = of_kind(documents, "Job", "Deployment")
    for name, service in services.items():
        if {p["name"]: p["port"] for p in service["spec"]["ports"]} != PORTS:
            yield f"service {name}: ports, expected {PORTS}"
        behind = [
            w
            for w in workloads
            if service["spec"]["selector"].items()
            <= w["spec"]["template"]["metadata"]["labels"].items()
        ]
        if len(behind) != 1:
            yield f"service {name}: stands for {len(behind)} workloads, expected 1"
        for workload in behind:
            ports = {p["name"]: p["containerPort"] for p in pod(workload)["containers"][0]["ports"]}
            if ports != PORTS:
                yield f"{workload['metadata']['name']}: ports {ports}, expected {PORTS}"
    for workload in of_kind(documents, "Deployment"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        if workload["spec"]["selector"]["matchLabels"] != labels:
            yield f"{workload['metadata']['name']}: its selector does not fit its labels"
    for workload, container in containers(documents):
        name = f"{workload['metadata']['name']}/{container['name']}"
        args = words(container, {})
        if "command" in container or args[0] not in commands:
            yield f"{name}: '{args[0]}' is no command of drover"
        for host in re.findall(r"tcp://([^:]+):", " ".join(args)):
            if host not in services and host != "0.0.0.0":
                yield f"{name}: there is no service {host}"
        volumes = {v["name"]: v for v in pod(workload).get("volumes", [])}
        mounts = {m["mountPath"]: volumes.get(m["name"]) for m in container.get("volumeMounts", [])}
        for path in (a for a in args if a.startswith("/")):
            volume = next((v for m, v in mounts.items() if path.startswith(m + "/")), None)
            if not volume:
                yield f"{name}: {path} is on no volume"
            elif volume.get("configMap", {}).get("name", "") not in maps | {""}:
                yield f"{name}: {path}: there is no such ConfigMap"
            elif volume.get("persistentVolumeClaim", {}).get("claimName", "") not in claims | {""}:
                yield f"{name}: {path}: there is no such claim"
        for key in ("--resume", "--output"):
            if key in args:
                path = args[args.index(key) + 1]
                kept = [m for m, v in mounts.items() if "persistentVolumeClaim" in (v or {})]
                if not any(path.startswith(m + "/") for m in kept):
                    yield f"{name}: {key} {path} does not outlive the pod"


def main():
    documents = load(sys.argv[1])
    match sys.argv[2:]:
        case ["check", *commands]:
            wrong = list(check(documents, commands))
            print(*wrong, sep="\n")
            return 1 if wrong else 0
        case ["config", name, file]:
            for config in of_kind(documents, "ConfigMap"):
                if config["metadata"]["name"] == name:
                    print(config["data"][file], end="")
        case ["args", name, *given]:
            values = dict(g.split("=", 1) for g in given)
            print(*words(container(documents, name), values), sep="\n")
        case ["env", name]:
            for key, value in environment(container(documents, name)).items():
                print(f"{key}={value}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
