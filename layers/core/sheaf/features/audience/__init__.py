"""Batches of audience records: uploaded at once or as a file, read page by page, saved in segments."""
