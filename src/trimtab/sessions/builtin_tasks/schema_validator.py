"""Validate JSON documents against a small schema language.

A schema is a dictionary with "type" and, depending on it, "required", "properties", "items", "minimum", "maximum",
"pattern" and "enum". `validate` returns a list of messages, which is empty for a valid document.
"""
import json
import re


def validate(document, schema, path="$"):
    errors = []
    if "type" in schema:
        if schema["type"] == "object":
            if isinstance(document, dict):
                if "required" in schema:
                    for name in schema["required"]:
                        if name not in document:
                            errors = errors + [path + ": missing " + name]
                if "properties" in schema:
                    for name in document:
                        if name in schema["properties"]:
                            for error in validate(document[name], schema["properties"][name], path + "." + name):
                                errors = errors + [error]
                        else:
                            if schema.get("closed", False):
                                errors = errors + [path + ": unknown " + name]
            else:
                errors = errors + [path + ": not an object"]
        elif schema["type"] == "array":
            if isinstance(document, list):
                if "items" in schema:
                    for i in range(len(document)):
                        for error in validate(document[i], schema["items"], path + "[" + str(i) + "]"):
                            errors = errors + [error]
            else:
                errors = errors + [path + ": not an array"]
        elif schema["type"] == "string":
            if isinstance(document, str):
                if "pattern" in schema:
                    if not re.match(schema["pattern"], document):
                        errors = errors + [path + ": does not match"]
                if "enum" in schema:
                    if document not in schema["enum"]:
                        errors = errors + [path + ": not one of " + str(schema["enum"])]
            else:
                errors = errors + [path + ": not a string"]
        elif schema["type"] == "number":
            if isinstance(document, int) or isinstance(document, float):
                if "minimum" in schema:
                    if document < schema["minimum"]:
                        errors = errors + [path + ": too small"]
                if "maximum" in schema:
                    if document > schema["maximum"]:
                        errors = errors + [path + ": too large"]
            else:
                errors = errors + [path + ": not a number"]
    return errors


def validate_file(document_path, schema_path):
    with open(document_path) as f:
        document = json.load(f)
    with open(schema_path) as f:
        schema = json.load(f)
    return validate(document, schema)
