"""Renders the chart in argv[1] by Helm with the values on standard input, and prints what came of it as JSON: what the
linter says, the notes, and the objects. A chart that cannot be rendered is an answer, too."""

import json
import sys

import helm_python as helm
import yaml

folder, values = sys.argv[1], json.load(sys.stdin)
answer = {"lint": [], "error": None, "notes": "", "objects": []}
found = helm.lint(folder, values=values) if values else helm.lint(folder)
answer["lint"] = [str(message) for message in found["messages"]] + [str(error) for error in found["errors"]]
try:
    with helm.Chart.load(folder) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="demo", namespace="mail")
    for name, text in rendered.items():
        if name.endswith("NOTES.txt"):
            answer["notes"] = text
        else:
            answer["objects"] += [it for it in yaml.safe_load_all(text) if it]
except helm.HelmError as error:
    answer["error"] = str(error)
json.dump(answer, sys.stdout)
