# Checkpoints go to Google Cloud Storage. Credentials come from
# GOOGLE_APPLICATION_CREDENTIALS, from gcloud, or from the machine's account.

filesystem "os" "data" { root = env("SPILLWAY_DIR", "/var/lib/spillway") }

pipeline "checkpoint" {
  stage "zstd" {}

  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 2
  }
  sink "blob" "offsite" {
    url       = "gs://backups/spillway"
    part_size = "16mb"
    required  = true
    timeout   = "5m"
    keep      = 30
  }
}
