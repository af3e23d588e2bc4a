#!/usr/bin/env bash
# Our loader and PyTorch's, in turn, on the same machine: compare.sh FOLDER_OF_CUB PYTHON LOADER_RATE [ROUNDS]
# FOLDER_OF_CUB has been imported (`stackgan data import`); LOADER_RATE is the built example `loader_rate`. Prints a line for each
# round and size: ours, PyTorch's, and their ratio; then the medians.
set -euo pipefail
folder=$1 python=$2 rate=$3 rounds=${4:-5}
here=$(cd "$(dirname "$0")" && pwd)
prepared=${PREPARED:-$folder/prepared}
for side in 76 304; do
  if [ "$side" = 76 ]; then ours_n=64000 theirs_n=1800; else ours_n=6400 theirs_n=1200; fi
  lines=""
  for round in $(seq "$rounds"); do
    ours=$("$rate" "$prepared/prepared-$side.safetensors" "$ours_n")
    theirs=$("$python" "$here/dataloader.py" "$folder" "$side" "$theirs_n" 2)
    line=$(awk -v s="$side" -v r="$round" -v a="$ours" -v b="$theirs" 'BEGIN { printf "%s px, round %s: %s %s %.1f", s, r, a, b, a / b }')
    echo "$line"
    lines+="$line"$'\n'
  done
  for column in 5 6 7; do
    printf '%s' "$lines" | awk -v c="$column" '{ print $c }' | sort -n | awk '{ v[NR] = $1 } END { printf "%s ", v[int((NR + 1) / 2)] }'
  done
  echo "medians of $rounds at $side px: ours, PyTorch's, ratio"
done
