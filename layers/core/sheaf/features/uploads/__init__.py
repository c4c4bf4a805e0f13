"""Files of tenants: announced, sent straight to the bucket, judged by their content, and only then to be had."""
