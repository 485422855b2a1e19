# shellcheck shell=bash disable=SC2034 # variables are for the scripts that source this
# What all jobs of bin/submit share; a job script sources it.
#
# sbatch runs a copy of the script in a folder of its own, so all paths come as arguments. The
# first three are the same for every job, CHECKOUT PROGRAM RETRIES, and are taken away here.
checkout=$1 program=$2 retries=$3
shift 3

logs=$PWD # sbatch's --chdir
cd -- "$SLURM_SUBMIT_DIR" || exit # where relative paths in a stage's options start

# Of an array, this task alone.
task=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_JOB_ID:-}" ] || task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

threads=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}

say() { printf '%(%F %T)T job %s on %s: %s\n' -1 "$task" "${SLURMD_NODENAME:-?}" "$1" >&2; }

# run COMMAND...: run a stage; USR1, which Slurm sends before the time limit, goes on to it. If
# it was stopped (exit 75) or killed, this task goes back to the queue. If it refuses to work,
# REFUSED notes that another attempt is useless.
run() {
  local child='' interrupted='' code
  trap 'interrupted=yes; say "USR1, asking it to save"; kill -USR1 $child || :' USR1
  rm -f "$(refused "$task")"
  say "$(printf '%q ' "$@")"
  "$@" &
  child=$!
  while :; do
    interrupted='' code=0
    wait "$child" || code=$?
    [ -n "$interrupted" ] || break # else the signal has ended the wait, not the child
  done
  trap - USR1
  say "exit $code"
  if [ "$code" -eq 75 ] || [ "$code" -gt 128 ]; then
    requeue
  elif [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
    touch "$(refused "$task")"
  fi
  return "$code"
}

requeue() {
  if [ "${SLURM_RESTART_COUNT:-0}" -ge "$retries" ]; then
    say "was put back $retries times, no more; the same bin/submit command goes on"
  else
    scontrol requeue "$task"
    say 'back to the queue'
  fi
}

# refused TASK: the file that says that a task has refused to work.
refused() { printf '%s/.refused-%s' "$logs" "$1"; }
