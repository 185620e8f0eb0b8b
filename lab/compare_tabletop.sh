#!/usr/bin/env bash
# compare_tabletop.sh [OUT]: the comparisons in models/tabletop/README.md: networks of 6, 12 and 24 layers with one exit
# beside the one with six, and what the auxiliary heads and the random exits are worth. All see through one vision (the
# shipped weights') and learn as many steps on the same demonstrations, without corrections, which would be of one
# learner's mistakes. Judged in process: needs no ROS. The same call goes on where it stopped.
# Half an hour on a GPU and 16 cores (PROCESSES=1 TOGETHER=1 WORKERS=16), hours on two cores. PROCESSES: that train one
# network; TOGETHER: all networks at once; WORKERS: that record and judge; CHAINS and POINTS: judged at full depth, and
# at each earlier exit.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
processes=${PROCESSES:-2} workers=${WORKERS:-2} chains=${CHAINS:-200} points=${POINTS:-200}
compared=$out/compared
python=(torchrun --standalone --nproc-per-node "$processes" -m)
((processes > 1)) || python=(python -m)
export OMP_NUM_THREADS=1
ulimit -n hard # an open file for each recording

record() { python -m deer_lab.worlds.judge.record --workers "$workers" --tasks 3 "$@"; }

train() {
    "${python[@]}" deer_lab.train --cache "$out/shards" --schedule cosine --huber-delta 0.1 --static-shift 0 \
        --aids deer_lab.worlds.tabletop.aids --gripper-shift 0 --loaders 2 "$@"
}

# learned NAME CONFIG [OPTION...]: NAME's bundle, in its run's folder
learned() {
    local run=$compared/$1 config=$2
    shift 2
    train --config "$config" --stage language --relabel 0.7 --goal-weight 2 --init lab/weights/tabletop \
        --init-part vision --data "$out/scenes" --window 1 --batch $((384 / processes)) --steps 1500 --lr 1.5e-3 \
        --head-lr 1.5e-3 --warmup 150 --seed 10 --out "$run/language" "$@"
    train --config "$config" --stage head --init "$run/language" --data "$out/demonstrations" --window 24 \
        --batch $((16 / processes)) --steps 250 --head-lr 1e-3 --warmup 30 --seed 11 --out "$run/head" "$@"
    [[ -e $run/head/bundle/manifest.json ]] || python -m deer_lab.bundle "$run/head" --out "$run/head/bundle"
}

# judge NAME ROW CHAINS [OPTION...]: the result becomes a row of the README
judge() {
    local run=$compared/$1/head judged=$compared/judged/$2 row=$2 count=$3
    shift 3
    python -m deer_lab.worlds.judge.evaluate --run "$run" --chains "$count" --workers "$workers" --out "$judged" "$@"
    python -m deer_lab.worlds.judge.tables --keep "$row=$judged/results.json"
}

# prepared STAGE RECORDINGS: their shards and what the vision makes of them, once for all that learn from them
prepared() {
    python -m deer_lab.train --config tabletop --cache "$out/shards" --stage "$1" --init lab/weights/tabletop \
        --aids deer_lab.worlds.tabletop.aids --init-part vision --data "$2" --steps 0 --out "$compared/prepared_$1"
}

# of train_tabletop.sh's recordings
record --episodes 2800 --every 5 --seed 0 --out "$out/scenes"
record --episodes 100 --seed 100 --out "$out/demonstrations"
record --episodes 66 --seed 200 --out "$out/held_out"
prepared language "$out/scenes"
prepared head "$out/demonstrations"

mkdir -p "$compared"
while read -ra arguments; do
    if [[ -n ${TOGETHER:-} ]]; then
        learned "${arguments[@]}" > "$compared/${arguments[0]}.log" 2>&1 &
    else
        learned "${arguments[@]}" < /dev/null
    fi
done << 'END'
static_6 tabletop_static_6
static_12 tabletop_static_12
static_24 tabletop_static_24
multi_exit tabletop
without_auxiliary_heads tabletop --no-auxiliary
without_random_exits tabletop --sampling window
END
for job in $(jobs -p); do wait "$job"; done

for name in static_6 static_12 static_24 multi_exit without_auxiliary_heads without_random_exits; do
    errors=$compared/$name/errors.json
    [[ -s $errors ]] ||
        python -m deer_lab.errors "$compared/$name/head" --data "$out/held_out" --cache "$out/shards" --json > "$errors"
    python -m deer_lab.worlds.judge.tables --errors "$name=$errors"
    judge "$name" "$name" "$chains"
done
for exit in 0 1 2 3 4; do
    for name in multi_exit without_auxiliary_heads without_random_exits; do
        judge "$name" "${name}_exit_$exit" "$points" --exit "$exit"
    done
done
