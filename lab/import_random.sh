#!/usr/bin/env bash
# import_random.sh SIZE OUT: what importing a full-size checkpoint takes, and a step of it, on random weights in the
# published layout. SIZE is 3b or 9b; OUT takes three times the checkpoint's size. The figures stand in docs/models.md.
set -euo pipefail
size=$1 out=$2
cd "$(dirname "$0")/.."

python -m deer_lab.importers.synthetic --size "$size" --out "$out/published"
for precision in fp32 fp16; do
    bundle=$out/$size-$precision
    /usr/bin/time --format '%E, %M KB at most in memory' \
        python -m deer_lab.importers.deer --checkpoint "$out"/published/*.pth --clip "$out/published/ViT-L-14.pt" \
        --tokenizer "$out/published/gpt-neox-20b" --precision "$precision" --out "$bundle"
    deer_vla check "$bundle"
    deer_vla bench "$bundle" --steps 5
done
