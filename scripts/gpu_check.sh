#!/usr/bin/env bash
# gpu_check.sh RECORDING OUT BUNDLE...: runs bundles on the GPU and beside it on the CPU; everything it finds stands in OUT.
# What fails does not stop the rest; the exit code is the number of steps that failed.
#
#   PROVIDER=cuda               what is checked: cuda, tensorrt or cpu
#   TORCH="openflamingo_3b"     configurations that PyTorch runs beside, eager and compiled
#   DTYPES="float32 float16"    of those
#   STEPS=200                   of each measurement
#
# Wants `deer_vla` in the PATH, and a python3 with this lab, PyTorch and onnxruntime-gpu.
set -uo pipefail
recording=$1 out=$2
shift 2
provider=${PROVIDER:-cuda} steps=${STEPS:-200}
mkdir -p "$out"
failed=0

# step NAME COMMAND...: its output on the terminal and in OUT/NAME
step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$out/$name" || {
        printf 'gpu_check.sh: %s failed\n' "$name" >&2
        failed=$((failed + 1))
    }
    printf '(%d s)\n' $((SECONDS - started))
}

step card nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
for bundle in "$@"; do
    name=$(basename "$bundle")
    step "$name-check.txt" deer_vla check "$bundle" --provider "$provider"
    for on in cpu "$provider"; do
        step "$name-replay-$on.txt" deer_vla replay "$bundle" "$recording" --provider "$on" --out "$out/$name-$on" --force
    done
    step "$name-agreement.txt" python3 -m deer_lab.agreement "$out/$name-"{cpu,"$provider"}/decisions.jsonl
    for graphs in true false; do
        step "$name-bench-graphs-$graphs.txt" deer_vla bench "$bundle" --provider "$provider" --steps "$steps" \
            --cuda-graphs "$graphs"
    done
    step "$name-copies.txt" python3 -m deer_lab.copies "$bundle" --provider "$provider"
done
device=$([[ $provider == cpu ]] && echo cpu || echo cuda)
for config in ${TORCH-}; do
    for dtype in ${DTYPES:-float32 float16}; do
        for compiled in "" --compile; do
            step "torch-$config-$dtype$compiled.txt" python3 -m deer_lab.bench "$config" --device "$device" \
                --dtype "$dtype" --steps "$steps" $compiled
        done
    done
done
step tensorrt.txt deer_vla check "$1" --provider tensorrt
printf '\n%d steps failed\n' "$failed"
exit "$failed"
