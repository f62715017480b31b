#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds what commands printed to a schema: judge.py SCHEMA DIRECTORY

A file of DIRECTORY is called NUMBER.NAME and has what the command NAME printed: one JSON value or several. Each is held to the
definition NAME of SCHEMA. A line for each fault; the exit status is 1 if there is one.
"""
import json
import os
import sys
from urllib.parse import quote

import jsonschema

# The first rows of a table stand for all 65,536, which take minutes here.
ROWS = 100


def values(text):
    """The values that stand one behind the other."""
    decoder = json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def without_most_rows(value):
    for table in value if isinstance(value, list) else []:
        if isinstance(table, dict) and isinstance(table.get('rows'), list):
            table['rows'] = table['rows'][:ROWS]
    return value


def validator(schema, name):
    """Of the definition alone: a name that the schema does not have is an error."""
    if name not in schema['$defs']:
        sys.exit(f'{name}: the schema has no definition of this name')
    one = {word: schema[word] for word in ('$schema', '$defs')}
    return jsonschema.Draft202012Validator(one | {'$ref': '#/$defs/' + quote(name)})


def faults(schema, directory):
    files = sorted(os.listdir(directory))
    if not files:
        yield 'nothing to judge'
    for file in files:
        judge = validator(schema, file.partition('.')[2])
        with open(os.path.join(directory, file), encoding='utf-8') as stream:
            text = stream.read()
        number = 0
        for number, value in enumerate(values(text), 1):
            for error in judge.iter_errors(without_most_rows(value)):
                place = '/'.join(map(str, error.absolute_path)) or 'as a whole'
                yield f'{file}: value {number}: {place}: {error.message}'
        if number == 0:
            yield f'{file}: no value'


def main():
    with open(sys.argv[1], encoding='utf-8') as stream:
        schema = json.load(stream)
    found = list(faults(schema, sys.argv[2]))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
