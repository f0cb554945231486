# A machine without a network: clients come over a Unix socket, backups go to a
# disk that is plugged in now and then and carried away. While it is not there,
# checkpoints count without it; when it is, the newest is copied to it.
#
# They are encrypted with gpg, by a plugin that sees the keyring and nothing of
# the server. checksum: spillway plugins checksum /usr/local/bin/spillway-plugin-exec

plugin "exec" {
  command  = [env("SPILLWAY_PLUGIN_EXEC", "/usr/local/bin/spillway-plugin-exec")]
  checksum = env("SPILLWAY_PLUGIN_EXEC_CHECKSUM")
  env      = { GNUPGHOME = "/etc/spillway/gnupg" }
}

listener "unix" "local" { path = env("SPILLWAY_SOCKET", "/run/spillway/spillway.sock") }

filesystem "os" "data" { root = env("SPILLWAY_DIR", "/var/lib/spillway") }
filesystem "os" "disk" { root = env("SPILLWAY_DISK", "/media/backup/spillway") }

pipeline "checkpoint" {
  stage "zstd" { level = 9 }
  stage "plugin" "gpg" {
    uses   = plugin.exec
    encode = ["gpg", "--batch", "--trust-model", "always", "--encrypt", "--recipient", "spillway"]
    decode = ["gpg", "--batch", "--decrypt"]
    suffix = ".gpg"
  }

  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 7
  }
  sink "filesystem" "disk" {
    uses     = filesystem.os.disk
    required = false
    keep     = 60
  }
}
