"""The elements of a report: Markdown text, and plots and galleries as PNG bytes, without files."""
