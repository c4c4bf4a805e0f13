#!/bin/sh
# Five tries of the batch upload against a running stack:
#   BASE=http://127.0.0.1:4566/_aws/execute-api/<id>/api KEY=sk_… scripts/test-batch-upload-api.sh
set -eu
: "${BASE:?is the URL of the API}" "${KEY:?is an API key or an access token}"
url="$BASE/v1/audience/batch-upload"
body=$(mktemp) answer=$(mktemp) failed=0
trap 'rm -f "$body" "$answer"' EXIT

# try <name> <expected status> <text that the answer must hold>; the body lies in $body
try() {
  status=$(curl -s -o "$answer" -w '%{http_code}' -X POST "$url" -H "Content-Type: application/json" \
    -H "Authorization: Bearer $KEY" --data-binary "@$body")
  if [ "$status" = "$2" ] && grep -q "$3" "$answer"; then
    echo "ok   $1: $status"
  else
    echo "FAIL $1: $status, expected $2 with $3: $(head -c 300 "$answer")"
    failed=1
  fi
}

echo '{"upload_name": "small", "records": [{"business_email": "test@example.com", "first_name": "Test"}]}' > "$body"
try "a small payload" 200 '"rows_received":1'

echo '{"upload_name": "schema", "records": [{"first_name": "No address"}]}' > "$body"
try "schema validation" 400 'needs at least one of'

awk 'BEGIN { printf "{\"upload_name\": \"many\", \"records\": ["; for (n = 0; n < 50001; n++) printf "%s{\"domain\": \"d\"}", n ? "," : ""; print "]}" }' > "$body"
try "the batch size limit" 413 'MAX_BATCH_SIZE'

awk 'BEGIN { printf "{\"upload_name\": \"large\", \"records\": [{\"domain\": \""; for (n = 0; n < 5000001; n++) printf "x"; print "\"}]}" }' > "$body"
try "the payload size limit" 413 'bytes'

cat > "$body" <<'JSON'
{"upload_name": "comprehensive",
 "fields": ["business_email", "first_name", "last_name", "company_name", "domain"],
 "records": [
   {"business_email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "company_name": "Example", "domain": "example.com", "industry": "Tea", "employees": 12},
   {"personal_email": "bob@example.org", "first_name": "Bob", "tags": ["a", "b"], "address": {"city": "Berlin"}},
   {"company_domain": "example.net"}]}
JSON
try "comprehensive data" 200 '"rows_received":3'
exit $failed
