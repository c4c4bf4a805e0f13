"""Exports: what is asked for, and the jobs that write it to files in S3."""
