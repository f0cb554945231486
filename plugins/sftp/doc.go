// Package sftp is the sink over SFTP:
//
//	sftp://USER@HOST:PORT/DIRECTORY      an absolute path
//	sftp://USER@HOST/~/DIRECTORY         below the home directory
//
// The layout below the directory, which is made when it is missing, is in
// plugins/internal/setstore.
//
// # Who it talks to
//
// The server's host key must be in known_hosts (~/.ssh/known_hosts by default);
// there is no way around that. To let it in, once, and after comparing the
// fingerprint with what the server's owner says:
//
//	ssh-keyscan -p PORT HOST >> ~/.ssh/known_hosts
//
// It proves who it is with key_file; or, without one, with the keys of the agent
// at SSH_AUTH_SOCK, then ~/.ssh/id_ed25519, id_ecdsa and id_rsa; and last with
// password. Password and passphrase are taken from the options, which take them
// from the environment (password = env("…")), or from SPILLWAY_SFTP_PASSWORD
// and SPILLWAY_SFTP_PASSPHRASE; never from the URL. ~/.ssh/config is not read. A
// plugin gets only the environment that its block in plugins.hcl names, besides
// PATH, HOME and TMPDIR.
//
// # What it holds to
//
//   - A part goes to a temporary name, with writes of 1 MiB of which concurrency
//     are on their way at once; then it is fsynced (fsync@openssh.com), renamed
//     (posix-rename@openssh.com), and its directory is fsynced. A Put holds about
//     concurrency MiB, however large the part is.
//   - A server that lacks one of the two extensions is refused, unless
//     allow_unsafe_server is set; then what it lacks is left out, with a warning:
//     a crash of that server may take away what was acknowledged.
//   - SFTP knows no checksums. Size and time of change go into the receipt, and
//     Publish wants them to be the same; verify = true reads each part again.
//   - Each call has a connection of its own, from a small pool: what a deadline or
//     a dead server ends is one call. The next call connects again.
//
// It refuses to retry a stream, to talk to a server that it does not know, and a
// second writer below the same directory.
package sftp
