"""The entities of this API: one file each. The file name is the path, so `tasks.py` answers at `/v1/tasks`."""
