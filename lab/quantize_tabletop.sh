#!/usr/bin/env bash
# quantize_tabletop.sh [OUT]: smaller variants of models/tabletop, each with thresholds of its own for the same budget
# and judged like the original: the rows in its README. Milliseconds and memory: all bundles in turn, three times over.
# The same call goes on where it stopped. Needs train_tabletop.sh's recordings. POINTS: chains a variant.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
points=${POINTS:-200}
made=$out/quantized
export OMP_NUM_THREADS=1
mkdir -p "$made"

for to in fp16 int8 int4; do
    bundle=$made/tabletop_$to
    [[ -e $bundle/manifest.json ]] || python -m deer_lab.quantize models/tabletop --to "$to" --out "$bundle"
done
benches=()
for round in 1 2 3; do
    for bundle in models/tabletop "$made"/tabletop_{fp16,int8,int4}; do
        name=$(basename "$bundle") bench=$made/$(basename "$bundle").bench_$round.json
        deer_vla bench "$bundle" --threads 1 --json > "$bench"
        benches+=(--bench "$name=$bench")
    done
done
python -m deer_lab.worlds.judge.tables "${benches[@]}"
for to in fp16 int8 int4; do
    bundle=$made/tabletop_$to
    deer_vla calibrate "$bundle" "$out/held_out"
    deer_vla solve "$bundle" --average 12MFLOP
    python -m deer_lab.worlds.judge.evaluate --bundle "$bundle" --chains "$points" --workers 2 --out "$made/$to"
    python -m deer_lab.worlds.judge.tables --keep "deer_b_$to=$made/$to/results.json"
done
