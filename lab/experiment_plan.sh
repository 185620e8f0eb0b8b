#!/usr/bin/env bash
# experiment_plan.sh RUN CHAINS OUT [NAME...]: a run's bundle under plans, fixed and adaptive, on the same chains, in process;
# all of them or those named. Each becomes OUT/NAME; what is finished is not done again. RUN/bundle is the bundle judged.
# An hour on two cores for all at 100 chains.
set -euo pipefail
run=$1 chains=$2 out=$3
shift 3
names=("$@")
export OMP_NUM_THREADS=1
mkdir -p "$out"

# judge NAME EXIT|THRESHOLDS PARAMETER:=VALUE...: EXIT is where every step stops
judge() {
    local name=$1 depth=$2 options=()
    shift 2
    [[ ${#names[@]} == 0 || " ${names[*]} " == *" $name "* ]] || return 0
    if [[ $depth == ? ]]; then options+=(--exit "$depth"); else options+=(--thresholds "$depth"); fi
    for assignment in "$@"; do options+=(--parameter "$assignment"); done
    echo "$name"
    python -m deer_lab.worlds.judge.evaluate --run "$run" --chains "$chains" --workers "${WORKERS:-2}" \
        --out "$out/$name" "${options[@]}"
}

# A change of 1 is never passed, so these are fixed but for the rules that forbid (docs/budgets.md).
pictures() { echo plan.keep_change:=1.0 plan.max_age:=$(($1 - 1)); }
steps() { echo plan.skip_delta:=2.0 plan.skip_change:=1.0 plan.max_skips:=$(($1 - 1)) plan.max_age:=20; }
skips() { echo "plan.skip_delta:=$1" plan.skip_change:=1.0 "plan.max_skips:=$2" plan.max_age:=20; }

gate=$run/bundle/thresholds.json
judge full_depth 5
judge gate "$gate"
for exit in 0 1; do judge "exit_$exit" "$exit"; done
# shellcheck disable=SC2046 # each echoes words
{
    for n in 2 3 4; do judge "picture_$n" 5 $(pictures "$n"); done
    for change in 0.05 0.1; do judge "keep_$change" 5 plan.keep_change:=$change; done
    for n in 2 3 4 5 6; do judge "step_$n" 5 $(steps "$n"); done
    for exit in 0 1; do
        for n in 2 3 4 5 6; do judge "step_${n}_exit_$exit" "$exit" $(steps "$n"); done
    done
    for delta in 0.03 0.05 0.07 0.1; do judge "skip_$delta" "$gate" $(skips "$delta" 3); done
    for delta in 0.05 0.1; do judge "skip_${delta}_exit_1" 1 $(skips "$delta" 3); done
    for delta in 0.05 0.1 0.2; do judge "skip_${delta}_of_6" "$gate" $(skips "$delta" 6); done
    for delta in 0.05 0.1 0.2; do judge "skip_${delta}_of_6_exit_1" 1 $(skips "$delta" 6); done
    for delta in 0.05 0.1 0.2; do judge "skip_${delta}_of_6_keep" 1 $(skips "$delta" 6) plan.keep_change:=0.05; done
}
# Budgets of the whole step, each beside the best fixed plan that costs no more; nothing where nothing costs so little.
for average in 30 20 15 12; do
    [[ -f $run/bundle/plans.json ]] || break
    deer_vla solve "$run/bundle" --of whole --average "${average}MFLOP" --out "$out/whole_$average.json" \
        --fixed-out "$out/fixed_$average.json" || continue
    for kind in whole fixed; do judge "${kind}_$average" "$out/${kind}_$average.json"; done
done
