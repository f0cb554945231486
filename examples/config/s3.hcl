# Every checkpoint is compressed and in an S3 bucket before it counts. The
# upload runs in a process of its own: it alone sees the credentials.
#
# checksum: spillway plugins checksum /usr/local/bin/spillway-plugin-blob

plugin "blob" {
  command  = [env("SPILLWAY_PLUGIN_BLOB", "/usr/local/bin/spillway-plugin-blob")]
  checksum = env("SPILLWAY_PLUGIN_BLOB_CHECKSUM")
  env = {
    AWS_ACCESS_KEY_ID     = env("AWS_ACCESS_KEY_ID")
    AWS_SECRET_ACCESS_KEY = env("AWS_SECRET_ACCESS_KEY")
  }
}

filesystem "os" "data" { root = env("SPILLWAY_DIR", "/var/lib/spillway") }

pipeline "checkpoint" {
  stage "zstd" { level = 3 }

  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 2
  }
  sink "plugin" "offsite" {
    uses     = plugin.blob
    url      = "s3://backups/spillway?region=eu-central-1" # for others: &endpoint=https://…&use_path_style=true
    required = true
    timeout  = "5m"
    keep     = 30
  }
}
