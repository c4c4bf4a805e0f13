"""`POST /v1/batch`: each request goes through the routes that it would take alone, in this process and as the batch's caller."""
