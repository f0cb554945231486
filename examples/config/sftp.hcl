# Checkpoints go to an SFTP server as soon as it is there: when it is not, they
# count all the same and are sent later.
#
# Its host key has to be known:  ssh-keyscan backup.example.org >> known_hosts
# after comparing the fingerprint with what the server's owner says.

filesystem "os" "data" { root = env("SPILLWAY_DIR", "/var/lib/spillway") }

pipeline "checkpoint" {
  stage "zstd" {}

  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 3
  }
  sink "sftp" "offsite" {
    url         = "sftp://spillway@backup.example.org/srv/backups/spillway"
    key_file    = env("SPILLWAY_SFTP_KEY", "/etc/spillway/id_ed25519")
    known_hosts = env("SPILLWAY_SFTP_KNOWN_HOSTS", "/etc/spillway/known_hosts")
    required    = false
    keep        = 14
  }
}
