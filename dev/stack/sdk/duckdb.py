"""Runs the queries of standard input, one after the other, and prints the rows of each as JSON: numbers as they are written,
so that not a digit is lost. The queries are those of docs/analytics-export.md, and a test's own."""

import json
import sys

import duckdb

queries = json.loads(sys.argv[1])
connection = duckdb.connect()
connection.execute("set timezone = 'UTC'")


def cell(value):
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value)


answers = []
for query in queries:
    found = connection.execute(query)
    names = [column[0] for column in found.description]
    answers.append([dict(zip(names, map(cell, row))) for row in found.fetchall()])
print(json.dumps(answers))
