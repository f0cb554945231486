# Whatever is stored, here and elsewhere, is compressed and then encrypted with
# age (age-keygen -o age.key). The server needs the key to read its own data at
# a start; whoever keeps the backups does not.
#
#   age -d -i age.key shard-0000.rdb.zst.age | zstd -d > dump.rdb

filesystem "os" "data"   { root = env("SPILLWAY_DIR", "/var/lib/spillway") }
filesystem "os" "mirror" { root = env("SPILLWAY_MIRROR", "/mnt/backup/spillway") }

pipeline "checkpoint" {
  verify_decode = true # decode every part before it counts

  stage "zstd" {}
  stage "age" {
    recipients = [env("SPILLWAY_AGE_RECIPIENT")]
    identities = [file(env("SPILLWAY_AGE_KEY", "/etc/spillway/age.key"))]
  }

  sink "filesystem" "local" {
    uses = filesystem.os.data
    keep = 3
  }
  sink "filesystem" "mirror" {
    uses     = filesystem.os.mirror
    required = true
    keep     = 14
  }
}
