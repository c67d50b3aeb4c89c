"""Writes values.yaml, values.schema.json and the table in README.md of the chart."""

from helm.documents.writing import documents

if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
