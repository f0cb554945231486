# The configuration of `spillway serve`, and its manual. Everything here is the
# default: a missing line changes nothing. Flags of the command line win over
# the file. `spillway check` tells what a file would run, and `spillway reload`, or
# SIGHUP, has a running daemon follow it; docs/operations.md says what needs a restart.
#
# Values are HCL 2 expressions. Functions: cpus(), min(a, b, …), max(a, b, …),
# env("NAME", "default"), file("path"), credential("NAME", "default"): what systemd's
# LoadCredential= hands the service. Sizes are written as in redis.conf
# ("64mb", "4gb"), durations as "250ms", "30s", "10m". Relative paths begin where
# the file is: of file(), roots, sockets, keys, certificates, a plugin's program.
#
# CONFIG REWRITE does not touch this file. It writes plugins.auto.hcl beside it, which
# is read after it, if it is there, and wins. include names another place for that:
# include = "/var/lib/spillway/spillway.auto.hcl"

server {
  shards    = cpus() # locks the keyspace is divided into; may differ at every start
  databases = 16     # SELECT 0 … 15

  append_only = true       # keep a log of every write
  fsync       = "everysec" # always: a reply leaves after the fsync that covers it
                           # everysec: at most one second is lost with the machine
                           # no: the operating system decides

  # A snapshot after so many seconds if at least so many keys changed. [] is never.
  save = ["3600 1", "300 100", "60 10000"]

  # A rewrite when the log has doubled since the last checkpoint and is not small.
  rewrite_percentage = 100 # 0 turns it off
  rewrite_min_size   = "64mb"

  # Refuse writes (MISCONF) while the last background save has failed.
  stop_writes_on_save_error = true

  max_memory        = "0"          # bytes for keys and values; "0" is no bound
  max_memory_policy = "noeviction" # or allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru,
                                   # volatile-lfu, volatile-random, volatile-ttl

  password       = env("SPILLWAY_PASSWORD", "") # of the default user; "" is none
  # acl_file     = "users.acl" # or users one by one: user "app" { rules = ["on", ">secret", "~app:*", "+@all", "-@dangerous"] }
  protected_mode = true   # without a password, only clients of this machine are let in
  max_clients    = 10000
  timeout        = "0s"   # close a client that is idle for so long; "0s" is never

  # Close those that hold most when all clients together hold more, in requests and
  # replies: a size, or a percentage of max_memory as in "5%"; "0" is no bound.
  max_memory_clients         = "0"
  client_output_buffer_limit = "0"   # close a client that is owed so much; "0": let it wait instead
  client_query_buffer_limit  = "1gb" # close a client whose unfinished request, or MULTI, is so large
}

log {
  level  = "info" # trace, debug, info, warn, error
  format = "text" # or json
}

# Where clients connect. Any number, also listener "unix" "NAME" { path = "…" }.
listener "tcp" "main" { address = "127.0.0.1:6380" }

# One with TLS. Replaced files are used from the next connection on, without a restart.
# listener "tcp" "secure" {
#   address = "0.0.0.0:6390"
#   tls {
#     cert        = "server.pem" # with intermediate certificates behind it
#     key         = "server.key"
#     client_ca   = "clients.pem" # authorities whose client certificates are accepted
#     client_auth = "yes"         # yes: clients need one; optional; no. Default: yes with client_ca
#     client_user = true          # a client is the ACL user of its certificate's common name, without AUTH
#     min_version = "1.2"         # or "1.3"
#   }
# }

# A status page for browsers at /, metrics for Prometheus at /metrics, and /healthz:
# 200, or 503 with the reason while the data is loaded or writes are refused. Off unless
# given. Who reaches the address can read it, the slow log included, unless something is
# asked for: a certificate, a password or a token, as in Prometheus's tls_config,
# basic_auth and authorization.
# metrics {
#   address = "127.0.0.1:9121"
#   # tls { … } # as of a listener, without client_user
#   # basic_auth {
#   #   username = "prometheus"
#   #   password = env("METRICS_PASSWORD")
#   # }
#   # bearer_token = file("metrics.token")
# }

# A trace of each checkpoint, for a collector of OpenTelemetry, over OTLP/HTTP. What is left
# out, OTEL_EXPORTER_OTLP_ENDPOINT and the other usual variables of the environment say.
# tracing {
#   endpoint = "http://127.0.0.1:4318" # without a path: /v1/traces
#   headers  = { Authorization = env("COLLECTOR_TOKEN") }
#   timeout  = "10s"
#   tls { ca = "collector-ca.pem" } # also cert and key
# }

# Whom to tell that the log of writes has failed, and that it is healed.
# append_only {
#   on_failure { command = ["/usr/local/bin/notify"] } # see the pipeline below
# }

# Filesystems that sinks keep their files in: "os" (a directory of this machine),
# "mem" (memory, for experiments: nothing survives the process), and remote ones
# with a url: "s3", "gcs", "azure" and "sftp". Those hold no data directory, only
# copies; the sinks "blob" and "sftp" below do that faster, and check more.
filesystem "os" "data" { root = env("SPILLWAY_DIR", "./data") }

# Stages and sinks that run as processes of their own; see docs/plugins.md.
# plugin "blob" {
#   command  = ["spillway-plugin-blob"] # beside spillway, or in PATH
#   checksum = "sha256:…"               # spillway plugins checksum FILE
#   env      = { AWS_PROFILE = "backup" } # it sees nothing else of ours
#   start    = "boot"                   # or "first-use"
#   timeout  = "30s"
#   restart {
#     max_attempts = 5
#     backoff      = "200ms"
#     max_backoff  = "30s"
#   }
# }

# What a checkpoint (BGSAVE, BGREWRITEAOF, a save point, log growth) goes
# through: stages in order, then every sink at the same time.
pipeline "checkpoint" {
  on            = ["snapshot", "rewrite"]
  verify_decode = false # also decode every part back before the commit

  # Also one by the clock, whether anything has changed or not: cron's five fields, or
  # @hourly, @daily, @weekly, @monthly, @yearly. See docs/operations.md.
  # schedule = "0 3 * * *"
  # timezone = "Europe/Berlin" # default: this machine's
  # jitter   = "10m"           # later by up to so much, by chance

  # Whom to tell how it has ended, any number of them: here, in the pipeline "archive", in verify and in drill.
  # on_success { url = "https://hc-ping.com/…" }          # a POST of JSON; headers = { … }, timeout = "10s"
  # on_failure { command = ["/usr/local/bin/notify"] }    # no shell; the event is on its standard input; env = { … }

  # stage "zstd" { level = 1 }
  # stage "age" {
  #   recipients = ["age1…"]
  #   identities = [file("/etc/spillway/backup.key")] # to read the data back at a start
  # }

  # stage "lz4" {}
  # stage "gzip" { level = 5 }
  # stage "exec" {
  #   encode = ["gpg", "--batch", "--encrypt", "--recipient", "backup"]
  #   decode = ["gpg", "--batch", "--decrypt"]
  #   suffix = ".gpg"
  # }
  # stage "plugin" "NAME" { uses = plugin.NAME }

  # The first sink is the data directory. keep = checkpoints that stay there.
  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 3
  }

  # Further sinks get the same bytes. A required one must hold the whole set
  # before the checkpoint counts; one that is not is fed again until it does.
  # sink "filesystem" "mirror" {
  #   uses     = filesystem.os.mirror
  #   required = false
  #   timeout  = "10m"
  #   rate     = "50MB/s" # to it and from it, for all that goes on at once; "0" is no bound
  #   keep     = 14
  # }
  # sink "blob" "offsite" { url = "s3://backups/prod?region=eu-central-1" }
  # sink "sftp" "vault" {
  #   url         = "sftp://spillway@backup.example.org/srv/spillway"
  #   key_file    = "/etc/spillway/id_ed25519"
  #   known_hosts = "/etc/spillway/known_hosts"
  # }
  # sink "plugin" "far" {
  #   uses = plugin.blob
  #   url  = "s3://backups/far" # what Spillway does not know goes to the plugin
  # }
}

# The log, on its way to another place: a segment is sealed when it is old or
# large enough and goes through the stages to every sink, without a checkpoint.
# With a checkpoint there or elsewhere, any moment can be restored. A sink that
# is down holds nobody up and gets what it missed; none can be required. Give it
# the place of a checkpoint sink, and `spillway restore` finds both.
# pipeline "archive" {
#   on         = ["segment"]
#   seal_after = "10s"  # what a loss of the machine costs, with the time of the transfer
#   seal_size  = "64mb"
#   rate       = "0" # of all its sinks together, beside the rate that each may have
#
#   stage "zstd" { level = 1 }
#   sink "filesystem" "mirror" {
#     uses = filesystem.os.mirror
#     keep = { last = 3, hourly = 24, daily = 7, weekly = 4 } # segments from the oldest of these checkpoints on
#   }
# }

# Sinks are read to their last byte by the clock, as by `spillway verify`, by a process
# of the lowest priority. What it finds is in `spillway status` and the metrics.
# verify {
#   schedule = "0 5 * * 0" # timezone and jitter as above
#   from     = ["offsite"] # default: every sink beside the data directory, one by one
#   deep     = true        # false: compare digests only, which needs no keys
# }

# A restore for practice: the latest moment and one by chance, into a scratch directory,
# loaded by an engine of a process of its own, and compared. See docs/backup.md.
# drill {
#   schedule = "0 6 1 * *"  # timezone and jitter as above
#   from     = ["offsite"]  # default: every sink beside the data directory, as one source
#   scratch  = "/var/tmp"   # default: the directory for temporary files
#   evidence = "evidence"   # a file of JSON for each; default: none
# }
