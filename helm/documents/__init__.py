"""Makes the documents of the chart, of one list of its values."""
