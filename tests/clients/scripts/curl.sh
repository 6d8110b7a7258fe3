# curl as in providers' manuals, with and without the wish for HTTP/2.
set -u
ask='{"model":"claude-sonnet-4-5","max_tokens":1024,"messages":[{"role":"user","content":"Say hello."}]'
for http in --http1.1 --http2; do
  for stream in false true; do
    echo "$http $stream"
    curl -sS -N "$http" --max-time 30 -w '\n%{http_code} %{http_version} %{num_connects}\n' \
      -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
      -H "x-api-key: $ANTHROPIC_API_KEY" -d "$ask,\"stream\":$stream}" \
      "$TOKENPAK_TEST_URL/v1/messages" >answer || exit
    # Every word of it, and what curl says of the transfer.
    grep -o '"text":"[^"]*"' answer | sed 's/^"text":"//; s/"$//' | tr -d '\n'
    tail -n 1 answer
  done
done
# Above 1 MB curl waits for `100 Continue`.
head -c 1500000 /dev/zero | tr '\0' x | sed 's/^/{"model":"gpt-4o","messages":[{"role":"user","content":"/; s/$/"}]}/' > large.json
curl -sS --max-time 30 -o /dev/null -w 'large: %{http_code} %{size_upload}\n' -H 'content-type: application/json' \
  -H "authorization: Bearer $OPENAI_API_KEY" -H 'expect: 100-continue' --data-binary @large.json \
  "$TOKENPAK_TEST_URL/v1/chat/completions"
curl -sS --max-time 30 --compressed -w ' %{http_code}\n' -H "authorization: Bearer $OPENAI_API_KEY" \
  "$TOKENPAK_TEST_URL/v1/models"
rm answer large.json
