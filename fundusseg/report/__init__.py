"""What a report is made of: Markdown, plots, galleries. It returns text and PNG bytes only."""
