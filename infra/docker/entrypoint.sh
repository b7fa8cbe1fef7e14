#!/bin/sh
# What a container of this image is:
#   head | worker OPTION...   a node of the Ray cluster; options of `ray start`
#   mlflow             MLflow's server, over MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION
#   serve ARG...       `sgan serve`
#   buckets NAME...    makes the buckets that are not there yet, and ends
#   anything else      is run as it stands
# SGAN_OBJECT_STORE is the size of a node's object store in bytes: Ray would take what fits into memory, and
# put it on the disk where /dev/shm is smaller.
# SGAN_LISTEN is the address that servers listen on: 127.0.0.1, or `container` for the container's own.
set -eu

listen=${SGAN_LISTEN:-127.0.0.1}
if [ "$listen" = container ]; then
  listen=$(hostname -i | cut -d' ' -f1)
fi
# A secret is a file; it is in no environment that `docker inspect` shows.
if [ -n "${PGPASSWORD_FILE:-}" ]; then
  PGPASSWORD=$(cat "$PGPASSWORD_FILE")
  export PGPASSWORD
fi

role=${1:-}
[ $# -eq 0 ] || shift
case $role in
  head | worker)
    [ -z "${SGAN_OBJECT_STORE:-}" ] || set -- --object-store-memory="$SGAN_OBJECT_STORE" "$@"
    ;;
esac
case $role in
  head)
    # No work on the head: what runs there dies with it, and it has the cluster to look after.
    exec ray start --head --block --disable-usage-stats --num-cpus="${SGAN_CPUS:-0}" \
      --node-ip-address="$listen" --port="${SGAN_HEAD_PORT:-6379}" \
      --include-dashboard=true --dashboard-host="$listen" --dashboard-port="${SGAN_JOBS_PORT:-8265}" \
      --metrics-export-port="${SGAN_METRICS_PORT:-8080}" "$@"
    ;;
  worker)
    if [ -n "${SGAN_CPUS:-}" ]; then
      set -- --num-cpus="$SGAN_CPUS" "$@"
    fi
    exec ray start --block --disable-usage-stats "$@" --address="${SGAN_HEAD:?the address of the head}" \
      --node-ip-address="$listen" --metrics-export-port="${SGAN_METRICS_PORT:-8080}"
    ;;
  mlflow)
    port=${SGAN_MLFLOW_PORT:-5000}
    exec mlflow server --host "$listen" --port "$port" --workers "${SGAN_MLFLOW_WORKERS:-2}" \
      --backend-store-uri "${MLFLOW_BACKEND_STORE_URI:?postgresql+psycopg2://...}" \
      --artifacts-destination "${MLFLOW_ARTIFACTS_DESTINATION:?s3://...}" \
      --allowed-hosts "${SGAN_MLFLOW_HOSTS:-127.0.0.1:$port,localhost:$port}"
    ;;
  serve)
    exec python -m pipeline serve --host "$listen" "$@"
    ;;
  buckets)
    exec python - "$@" <<'PYTHON'
import sys

import boto3

client = boto3.client("s3")
there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
for name in sys.argv[1:]:
    if name not in there:
        client.create_bucket(Bucket=name)
    print(f"bucket {name}: {'is there' if name in there else 'made'}")
PYTHON
    ;;
  "")
    echo "error: say what this container is: head, worker, mlflow, serve, buckets, or a command" >&2
    exit 2
    ;;
  *)
    exec "$role" "$@"
    ;;
esac
