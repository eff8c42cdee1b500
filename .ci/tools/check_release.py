"""Checks what a released program says about its dependencies: the list in it, and the bill of materials beside it.

Usage: check_release.py PROGRAM, in the top folder. Prints each fault, and exits with 1 if there is one.

The two are made by different tools. Both must name the crates that are compiled into the program, none twice, and agree with
Cargo.lock. Whether a macro is a part of the program or of its build, the tools may see differently.
"""

import json
import os
import pathlib
import struct
import sys
import tomllib
import zlib

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

program = pathlib.Path(sys.argv[1])
bill_file = program.with_name(program.name + ".cdx.json")
faults = []


def section(data, name):
    """Returns the content of a section of a 64-bit little-endian ELF file, or None."""
    (headers,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    # Of a section header: name, file offset, size.
    all_headers = [struct.unpack_from("<I20xQQ", data, headers + index * size) for index in range(count)]
    names = all_headers[names_index][1]
    for name_offset, offset, length in all_headers:
        start = names + name_offset
        if data[start : data.index(b"\0", start)] == name:
            return data[offset : offset + length]
    return None


locked = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]}

carried = section(program.read_bytes(), b".dep-v0")
if carried is None:
    sys.exit(f"{program} does not carry the list of its dependencies: delete it and repeat make release")
packages = json.loads(zlib.decompress(carried))["packages"]
carried = {(p["name"], p["version"]): p.get("kind", "runtime") for p in packages}

text = bill_file.read_text()
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if error is not None:
    faults.append(f"{bill_file}: {error}")
bill = json.loads(text)
root = bill["metadata"]["component"]
listed = [root, *bill["components"]]
required = {(c["name"], c["version"]) for c in listed if c["scope"] == "required"}
if len({(c["name"], c["version"]) for c in listed}) != len(listed):
    faults.append(f"{bill_file}: a component is listed twice")
for component in listed:
    name = (component["name"], component["version"])
    checksum = next((h["content"] for h in component.get("hashes", []) if h["alg"] == "SHA-256"), None)
    if name not in locked or locked[name] != checksum:
        faults.append(f"{bill_file}: {name} with checksum {checksum} is not in Cargo.lock")
    if not component.get("licenses"):
        faults.append(f"{bill_file}: {name} has no license")
if os.getcwd() in text or str(pathlib.Path.home()) + "/" in text:
    faults.append(f"{bill_file}: names a folder of this machine")
for name in sorted(carried.keys() - {(c["name"], c["version"]) for c in listed}):
    if carried[name] == "runtime":
        faults.append(f"{name} is not in the bill of materials")
for name in sorted(required - carried.keys()):
    faults.append(f"{name} is not in the program's own list")

print("\n".join(faults) or f"{len(carried)} crates in the program's own list, {len(listed)} in its bill of materials")
sys.exit(bool(faults))
