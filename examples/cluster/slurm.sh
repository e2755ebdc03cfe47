#!/usr/bin/env bash
# Workers of one run as a Slurm array, a GPU each; jobs that are preempted are put back into the queue.
# FABRIC_BO_STORAGE is in the environment of `sbatch`: sbatch --export=ALL examples/cluster/slurm.sh stars
#SBATCH --job-name=fabric-bo
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=fabric-bo-%A-%a.log
set -euo pipefail
# `exec`, so that the signal reaches the worker, which marks its trial as lost and ends.
exec fabric-bo worker "$1" --output "${SLURM_TMPDIR:-/tmp}/$1-${SLURM_ARRAY_TASK_ID:-0}"
