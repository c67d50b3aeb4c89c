"""Image servers -> raw: one thread a source, frames verbatim, nothing dropped."""
