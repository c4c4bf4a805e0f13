"""JSON log lines by Powertools. Log ids, counts and codes; never a body, a credential or a personal value."""

from aws_lambda_powertools.logging import Logger

log = Logger(service="sheaf", use_rfc3339=True, utc=True, log_uncaught_exceptions=False, serialize_stacktrace=False)
