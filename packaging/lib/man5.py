#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Manual page of a configuration file, section 5, from its JSON Schema: man5.py SCHEMA >PAGE

The page lists every field under its path, with its type, limits and default. The description of a field is that of the
schema, against which tests check the programs.
"""
import json
import pathlib
import sys

# What a schema lacks: the places of the file, an example, the programs that read it, and the page's title.
PAGES = {
    "director.conf": (["/etc/glb/director.conf"], "debian/examples/director.conf", ["glbctl"], "settings of a GLB director"),
    "healthcheck.conf": (
        ["/etc/glb/healthcheck.conf"], "userspace/glb-healthcheck/healthcheck.conf", ["glb-healthcheck", "glbctl"],
        "settings of GLB's health checker"),
    "targets.conf": (
        ["/etc/glb/targets.conf"], "userspace/glb-targets/targets.conf", ["glb-targets", "glbctl"], "settings of glb-targets"),
    "forwarding_table.json": (
        ["/etc/glb/forwarding_table.src.json", "/etc/glb/forwarding_table.checked.json"],
        "debian/examples/forwarding_table.src.json", ["glbctl", "glb-healthcheck"],
        "services of GLB directors, and their backends"),
}


def plain(text):
    """Text as roff source, without requests."""
    text = str(text).replace("\\", "\\e")
    # A pattern may be longer than a line, so it can be broken before and after a parenthesis.
    text = text.replace("(", "\\:(").replace(")", ")\\:")
    for character, name in (("-", "\\-"), ('"', "\\(dq"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(character, name)
    return "\\&" + text if text[:1] in (".", "'") else text


class Schema:
    def __init__(self, tree):
        self.tree = tree

    def resolved(self, node):
        """A node with its reference resolved; its own keys take precedence. `true` accepts everything."""
        if not isinstance(node, dict):
            return {}
        while "$ref" in node:
            target = self.tree
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def kind(self, node):
        """The form of a value, in words."""
        node = self.resolved(node)
        words = []
        if "enum" in node:
            words.append("one of " + ", ".join(json.dumps(value) for value in node["enum"]))
        elif "const" in node:
            words.append(json.dumps(node["const"]))
        elif "type" in node:
            types = node["type"] if isinstance(node["type"], list) else [node["type"]]
            words.append(" or ".join(types))
        elif not any(key in node for key in ("oneOf", "anyOf", "properties")):
            words.append("any value")
        for choice in ("oneOf", "anyOf"):
            kinds = [self.kind(option) for option in node.get(choice, []) if "type" in self.resolved(option)]
            if kinds and "type" not in node:
                words.append("; or ".join(kinds))
        if node.get("type") == "array" and "items" in node and "properties" not in self.resolved(node["items"]):
            words[-1] += " of: " + self.kind(node["items"])
        low, high = node.get("minimum"), node.get("maximum")
        if low is not None and high is not None:
            words.append(f"{low} to {high}")
        elif low is not None or high is not None:
            words.append(f"at least {low}" if high is None else f"at most {high}")
        for few, many, what in (("minItems", "maxItems", "items"), ("minLength", "maxLength", "characters")):
            if many in node:
                words.append(f"{node.get(few, 0)} to {node[many]} {what}")
            elif few in node:
                words.append(f"at least {node[few]} {what}")
        if "pattern" in node:
            words.append("matching " + node["pattern"])
        return ", ".join(words)

    def fields(self, node, path=""):
        """All fields below a node: path, node, whether the field is required."""
        node = self.resolved(node)
        required = node.get("required", [])
        for name, field in node.get("properties", {}).items():
            if field is False:
                continue
            here = f"{path}{name}"
            whole = self.resolved(field)
            yield here, whole, name in required
            yield from self.fields(whole, here + ".")
            if "items" in whole:
                yield from self.fields(whole["items"], here + "[].")


def page(path):
    schema = Schema(json.loads(path.read_text(encoding="utf-8")))
    title = schema.tree["title"]
    files, example, readers, name = PAGES[title]
    out = ['.\\" SPDX-License-Identifier: GPL-2.0', f'.TH {plain(title.upper())} 5 "" "GLB" "GLB"', ".SH NAME",
           f"{plain(title)} \\- {plain(name)}", ".SH DESCRIPTION", plain(schema.tree["description"]),
           "The file is JSON (RFC 8259). Unknown fields cause a warning. In the list below,",
           "a name after a full stop is a field of the object before it, and [] stands for each item of an array.",
           ".ds AD l", ".ad l", ".SH FIELDS"]
    for where, node, required in schema.fields(schema.tree):
        out += [".TP", f".B {plain(where)}"]
        facts = [schema.kind(node)]
        if required:
            facts.append("required")
        if "default" in node:
            facts.append("default " + json.dumps(node["default"]))
        facts = "; ".join(fact for fact in facts if fact)
        if facts:
            out.append(plain(facts[0].upper() + facts[1:] + "."))
        if "description" in node:
            out.append(plain(node["description"]))
        if node.get("deprecated") and "gnored" not in node.get("description", ""):
            out.append("Deprecated.")
    out += [".SH EXAMPLE", ".nf"]
    out += [plain(line) for line in pathlib.Path(example).read_text(encoding="utf-8").splitlines()]
    out += [".fi", ".SH FILES"]
    out += [line for file in files for line in (".TP", f".I {plain(file)}", plain(name[0].upper() + name[1:] + "."))]
    others = [(reader, 8) for reader in readers] + [(other, 5) for other in PAGES if other != title]
    out += [".SH SEE ALSO", " ,\n".join(f".BR {plain(other)} ({section})" for other, section in others)]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(page(pathlib.Path(sys.argv[1])), end="")
