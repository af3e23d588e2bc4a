#!/usr/bin/env bash
# The char-CNN-RNN here and in PyTorch, in turn, on the same machine: compare.sh CAPTIONS PYTHON ENCODE_RATE [ROUNDS] [COUNT]
# CAPTIONS has a caption on each line; ENCODE_RATE is the built example `encode_rate`. The batch of PyTorch is the fastest of
# four, found first. Prints captions a second for each round, and the medians with the ratio.
set -euo pipefail
captions=$1 python=$2 rate=$3 rounds=${4:-5} count=${5:-4096}
here=$(cd "$(dirname "$0")" && pwd)
best=64 most=0
for batch in 64 128 256 512; do
  found=$("$python" "$here/encode_peer.py" "$captions" 2048 "$batch")
  echo "PyTorch, batch $batch: $found"
  if awk -v a="$found" -v b="$most" 'BEGIN { exit !(a > b) }'; then best=$batch most=$found; fi
done
lines=""
for round in $(seq "$rounds"); do
  ours=$("$rate" "$captions" "$count")
  theirs=$("$python" "$here/encode_peer.py" "$captions" "$count" "$best")
  line=$(awk -v r="$round" -v a="$ours" -v b="$theirs" 'BEGIN { printf "round %s: %s %s %.2f", r, a, b, a / b }')
  echo "$line"
  lines+="$line"$'\n'
done
for column in 3 4 5; do
  printf '%s' "$lines" | awk -v c="$column" '{ print $c }' | sort -n | awk '{ v[NR] = $1 } END { printf "%s ", v[int((NR + 1) / 2)] }'
done
echo "medians of $rounds: ours, PyTorch's with batch $best, ratio"
