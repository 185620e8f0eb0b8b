#!/usr/bin/env bash
# compare_tabletop.sh [OUT]: the comparisons in models/tabletop/README.md: networks of 6, 12 and 24 layers with one exit
# beside the one with six, and what the auxiliary heads and the random exits are worth. All see through one vision (the
# shipped weights') and learn as many steps on the same demonstrations, without corrections, which would be of one
# learner's mistakes. Hours; the same call goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
chains=${CHAINS:-200}
export OMP_NUM_THREADS=1

train() {
    torchrun --nproc-per-node 2 -m deer_lab.train --cache "$out/shards" --schedule cosine --huber-delta 0.1 \
        --static-shift 0 --gripper-shift 0 --compile "$@"
}

# judge NAME BUNDLE [OPTION...]: the result becomes a row of the README
judge() {
    local name=$1 bundle=$2
    shift 2
    python -m deer_lab.tabletop.evaluate --bundle "$bundle" --chains "$chains" --workers 2 --out "$out/judged/$name" "$@"
    python -m deer_lab.tabletop.tables --keep "$name=$out/judged/$name/results.json"
}

# compare NAME CONFIG [OPTION...]: trains it, and judges it at full depth
compare() {
    local name=$1 config=$2 run=$out/compared/$1
    shift 2
    train --config "$config" --stage language --relabel 0.7 --goal-weight 2 --init lab/weights/tabletop --init-part vision \
        --data "$out/scenes" --window 1 --batch 96 --steps 1500 --lr 1.5e-3 --head-lr 1.5e-3 --warmup 150 --seed 10 \
        --out "$run/language" "$@"
    train --config "$config" --stage head --init "$run/language" --data "$out/demonstrations" --window 24 --batch 8 \
        --steps 250 --head-lr 1e-3 --warmup 30 --seed 11 --out "$run/head" "$@"
    [[ -e $run/bundle/manifest.json ]] || python -m deer_lab.bundle "$run/head" --out "$run/bundle" --name "$name"
    judge "$name" "$run/bundle"
}

compare static_6 tabletop_static_6
compare static_12 tabletop_static_12
compare static_24 tabletop_static_24
compare multi_exit tabletop
compare without_auxiliary_heads tabletop --no-auxiliary
compare without_random_exits tabletop --sampling window
for exit in 0 1 2 3 4; do
    for name in multi_exit without_auxiliary_heads without_random_exits; do
        judge "${name}_exit_$exit" "$out/compared/$name/bundle" --exit "$exit"
    done
done
