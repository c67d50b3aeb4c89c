"""`trapline verify`: what came out of the pipeline, held against what went in, without the grouper's code."""
