"""What a report is made of: Markdown, plots, galleries. Returns text and PNG bytes, writes nothing."""
