"""Media types of files. Apart from the readers and writers, which cost a function that only names them time at its start."""

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NDJSON = "application/x-ndjson"
JSON = "application/json"
