package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// remedy is an error that somebody may meet: its first word or its words, what it
// means, and what to do.
type remedy struct{ says, means, do string }

// replyCodes are the first words of error replies.
var replyCodes = []remedy{
	{"BUSY", "A script or a function has run for longer than `busy-reply-threshold`; nothing else is executed in its shards.", "Wait, or `SCRIPT KILL`, `FUNCTION KILL`. One that has written can only be waited for."},
	{"BUSYGROUP", "XGROUP CREATE of a consumer group that is there.", "Go on: somebody has made it already."},
	{"BUSYKEY", "RESTORE to a key that is there.", "`REPLACE` overwrites it."},
	{"CROSSSLOT", "Only with `cluster-enabled yes`: the keys of one command are of several slots.", "Give them one hash tag, as in `{user}:a` and `{user}:b`, or switch `cluster-enabled` off."},
	{"DENIED", "Protected mode: there is no password, and the client is on another machine.", "Set a password (`requirepass`, or users). `protected-mode no` lets everybody in."},
	{"EXECABORT", "A transaction was not carried out, and nothing of it: a command of it was refused before.", "Look at the replies that came before EXEC, or at the reason behind it; repeat the whole transaction."},
	{"INVALIDOBJ", "A string is no HyperLogLog, though it begins like one.", "Remove the key, or find who writes to it by other means."},
	{"IOERR", "MIGRATE has not reached the other server, or it did not answer in time.", "Look at that server. The key is still here; with `COPY` or after a timeout it may be at both."},
	{"LOADING", "The daemon has started, and its data is not loaded yet.", "Try again: clients of most languages do. `spillway status` says how far it is."},
	{"MISCONF", "Writes are refused, and this command was not executed: the log, or the last save, has failed. Reads go on.", "`spillway status` has the cause. It ends by itself with the next checkpoint that commits. [When persistence fails](operations.md#when-persistence-fails)"},
	{"NOAUTH", "The client has not authenticated.", "`AUTH`, or the client's setting for it."},
	{"NOGROUP", "The stream, or the consumer group, is not there.", "`XGROUP CREATE … MKSTREAM`."},
	{"NOPERM", "The user's rules do not permit the command, a key or a channel.", "`ACL LOG` has the refusal, `ACL DRYRUN` tries rules, [who may do what](operations.md#who-may-do-what)."},
	{"NOPROTO", "HELLO with a version that is not 2 or 3.", "Correct the client's setting."},
	{"NOREPLICAS", "`min-replicas-to-write` is above 0, and there are no replicas.", "`CONFIG SET min-replicas-to-write 0`."},
	{"NOSCRIPT", "EVALSHA of a script that is not loaded; a start forgets all.", "`EVAL` with the text, or `SCRIPT LOAD`; client libraries do it by themselves."},
	{"NOTBUSY", "SCRIPT KILL or FUNCTION KILL, and nothing runs.", "Nothing: it has ended."},
	{"NOTDURABLE", "The command was executed and can be seen by everybody, but the log failed with it: it is not on the disk yet.", "Do not repeat it blindly: look first. [When persistence fails](operations.md#when-persistence-fails)"},
	{"OOM", "Memory is at `maxmemory`, and the policy lets no key go, or none is left that may.", "Raise `maxmemory`, choose another `maxmemory-policy`, or remove keys."},
	{"READONLY", "The daemon looks into a backup (`--read-only`), or follows a server during a migration.", "Write elsewhere; after `spillway migrate --cutover` it takes writes."},
	{"TESTFAILED", "PFSELFTEST: the HyperLogLogs of this build are wrong.", "Report it."},
	{"UNBLOCKED", "`CLIENT UNBLOCK … ERROR` ended the waiting, or the key was removed or replaced.", "Wait again if it makes sense."},
	{"UNKILLABLE", "The script has written already: to kill it would leave half of it.", "Wait; `SHUTDOWN NOSAVE` ends the daemon without it."},
	{"WRONGPASS", "The name or the password is wrong, or the user is off.", "`ACL LIST` shows who there is, `ACL LOG` who has tried."},
	{"WRONGTYPE", "The key holds another type than the command is for.", "`TYPE` says which. Often two programs use one name."},
}

// otherWords begin texts that are no error replies, in capitals as these are.
var otherWords = []string{"API", "ASCII", "CPU", "CRC", "ERR", "ERROR", "HDR", "HLL", "HTTP", "ID", "INF", "JSON", "LFU", "NAN", "NUL", "NUMA", "OK", "POPULATE", "POSIX", "PROTOCOL", "RDB", "RELOAD", "RESP", "REPLY", "SLEEP", "STILL", "STORE", "TCP", "TLS", "TTL", "XXH", "ZWJ"}

// plainReplies are texts behind ERR that have a remedy of their own.
var plainReplies = []remedy{
	{"max number of clients reached", "`maxclients` are connected.", "Raise it and the limit of open files, or find who holds connections: `CLIENT LIST`."},
	{"unknown command", "There is no command of this name: a mistake in writing, a module's, or one of a later Redis.", "[The commands](reference-commands.md)."},
	{"unknown subcommand", "As for commands.", "`HELP` behind the command's name lists them."},
	{"wrong number of arguments for", "Too few or too many.", "The command's line in [the commands](reference-commands.md)."},
	{"syntax error", "An option is not known, stands twice, or does not go with another.", "The command's line in [the commands](reference-commands.md)."},
	{"value is not an integer or out of range", "A number was expected, of 64 bits unless the command says otherwise.", "Look at the argument, or at what the key holds."},
	{"DEBUG command not allowed", "DEBUG can stop or spoil the daemon, and is off.", "`enable-debug-command` in plugins.hcl, and a restart."},
	{"CONFIG SET failed", "A value is none, or cannot be had here; no parameter of the command has changed.", "The reason stands behind it; [the parameters](configuration.md)."},
	{"can't set immutable config", "The parameter counts at a start only.", "Put it into plugins.hcl and restart."},
	{"can't set protected config", "It says where the data is, which stays as long as the daemon runs.", "Restart with another `--dir`."},
	{"CONFIG SET appendonly yes is not allowed inside a transaction", "It waits for a checkpoint, which a transaction cannot.", "Send it outside of MULTI."},
	{"Unable to turn on AOF", "The checkpoint that the log is to follow has failed; the log stays off.", "The reason stands behind it: space, a required sink."},
	{"Background save already in progress", "One is written.", "Wait, or `BGSAVE SCHEDULE`."},
	{"Another child process is active (AOF?)", "A rewrite is written. (The words are Redis's: there are no child processes.)", "Wait, or `BGSAVE SCHEDULE`."},
	{"The server is running without a config file", "CONFIG REWRITE has no plugins.hcl to write beside.", "Start with `--config`."},
	{"This Redis instance is not configured to use an ACL file", "ACL SAVE and ACL LOAD want `acl_file`.", "Set it in plugins.hcl, or keep users by `CONFIG REWRITE`."},
	{"is not supported: this server has no replicas and is none", "Replication commands are here to be refused.", "[What differs](compatibility.md#what-differs-on-purpose)."},
	{"DUMP payload version or checksum are wrong", "RESTORE of bytes that are damaged, or of a later format.", "Take DUMP again, from a server that is no newer than [Redis 8.4](compatibility.md)."},
	{"Protocol error: expected a RESP request", "What arrived is no request: TLS or HTTP at a plain port, say.", "Correct the client's address or its `tls` setting."},
	{"Errors trying to SHUTDOWN", "The last save failed, and the daemon goes on.", "`spillway status` has the cause; `SHUTDOWN NOSAVE` or `FORCE` end it all the same."},
}

// startErrors end a start.
var startErrors = []remedy{
	{"stop it or use another directory", "Another daemon holds the data directory's lock.", "The line names its process. Two daemons cannot share a directory."},
	{"holds data; put it back or start in an empty directory", "The directory has data and no `MANIFEST`: somebody has removed it, or copied without it.", "Put it back, or `spillway repair --dir DIR`."},
	{"(nothing was changed on disk", "Damage: the line names the file and the offset.", "[When a start finds damage](operations.md#when-a-start-finds-damage)."},
	{"written by a newer version of spillway", "The directory's format is of a later version.", "Start that version, or restore a backup that this one wrote."},
	{"are configured", "A key is in a database beyond `databases`.", "Configure as many as before."},
	{"filesystem cannot hold a data directory", "The filesystem of the data directory cannot rename atomically, or sync directories.", "Use a local disk for data, and the other one as a sink."},
	{"the key to read it is not configured", "The checkpoint was written behind a stage whose key the configuration lacks.", "Configure the identity that it was encrypted for."},
	{"configure the stage this part was written with", "The checkpoint was written behind a stage that the configuration no longer has.", "Put the stage back; after the next checkpoint it may go."},
	{"checkpoints of another data directory", "The disk was lost, or the sink belongs to somebody else.", "`--restore-if-empty`, another prefix, or once `--adopt`: [whose backup it is](backup.md#whose-backup-it-is)."},
	{"holds a later state of this data directory", "The directory was rolled back, or a copy of it runs elsewhere.", "[Whose backup it is](backup.md#whose-backup-it-is)."},
	{"than the restore had", "The machine that this directory was restored from is alive, or not everything was restored.", "[Whose backup it is](backup.md#whose-backup-it-is)."},
	{"cannot be asked whether it holds backups", "An empty directory, and a sink that does not answer.", "Start again when it answers, or with `--adopt`."},
	{"follows another server and was not cut over", "A migration has not come to its end.", "`--migrate-from` goes on with it, `--migrate-from none` takes what is there."},
	{"has data of its own, which those of the server to follow would replace", "`--migrate-from` into a directory that is not empty.", "Use a new one."},
	{"an ACL file: use one of them", "plugins.hcl has blocks `user` and an `acl_file`.", "Keep one of the two."},
	{"the program is not the one that checksum pins", "A plugin's program has changed since its checksum was written down.", "If you have changed it: `spillway plugins checksum`, and the new sum into plugins.hcl."},
	{"everybody may write to", "A plugin's program, or its directory, can be changed by others.", "`chmod o-w` as the line says."},
	{"did not come to its end there", "A restore or an import of this directory broke off.", "The line has the command that finishes it; `--restart` gives it up."},
}

// sinkErrors are in the log, in BGSAVE's failure and in `spillway status`.
var sinkErrors = []remedy{
	{"transient failure", "Another attempt may succeed.", "Nothing, unless it stays: the sink's machine, the network."},
	{"permanent failure", "Another attempt would fail the same way.", "The reason stands behind it: a permission, a bucket, a password, space."},
	{"slower than the pipeline's patience", "A best-effort sink was left behind by the checkpoint.", "It is fed from the data directory later. If it stays: its throughput."},
	{"did not return when cancelled", "A stage or sink hangs.", "Its machine or its mount; a plugin's process is killed and started again."},
	{"stored bytes are damaged", "What came back is not what was written.", "`spillway verify --from` that sink; take a checkpoint at once, and look for the cause."},
	{"another set of this name is published", "Two daemons write to one place.", "Another prefix for one of them."},
	{"is of this lineage, and not of this data directory: nothing is removed there", "`keep` has found what a copy of the directory wrote.", "[Whose backup it is](backup.md#whose-backup-it-is); `spillway backups prune` by hand."},
	{"list multipart uploads (wants the permission", "The key may not look for uploads that broke off.", "Give it the permission that the line names."},
}

// restoreErrors are those of restore, verify, export, import and what looks into backups.
var restoreErrors = []remedy{
	{"no checkpoint", "The source holds none, or none as old as the moment.", "`spillway inspect --from` says what there is."},
	{"the directory is not empty", "A restore writes into a new or empty directory only.", "Another `--to`, or move what is there."},
	{"several data directories have their backups there", "The source holds more than one life.", "`--lineage`, with the first digits that the line lists."},
	{"what was asked for is not reached", "The newest set cannot be read, or the log has a gap before the moment.", "The line says what there is instead; `--allow-older` takes that."},
	{"the archived log does not go on with", "A segment is missing between.", "Every place that has a part of the log belongs into `--from`."},
	{"is no moment", "`--at` is neither `latest`, a generation nor a time.", "[Moments](backup.md#moments)."},
	{"the configuration has no sink beside the data directory", "There is nothing to restore from.", "`--from` with a directory or a URL."},
	{"is there already: --force replaces it", "export does not overwrite.", "`--force`, or another name."},
	{"it is no file of Redis's", "import has found neither an RDB nor an append-only file.", "Look at what the file is."},
	{"unsupported command", "An append-only file has a module's command.", "`--skip-unsupported` leaves it out and lists it."},
}

// TestErrorsReference: docs/reference-errors.md has what error replies begin with, and
// what else people meet, with the remedy; each is in the sources, and no code of a
// reply is forgotten. go test ./cmd/spillway -run TestErrorsReference -rewrite writes it.
func TestErrorsReference(t *testing.T) {
	replies := literals(t, "../../core/session", "../../core/command", "../../core/command/hll", "../../core/server", "../../core/acl", "../../core/script", "../../core/persist", "../../core/apply", "../../core/follow", "../../core")
	code := regexp.MustCompile(`^-?([A-Z]{2,}) `)
	found := make(map[string]string)
	for _, text := range replies {
		m := code.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		known := slices.ContainsFunc(replyCodes, func(r remedy) bool { return r.says == m[1] })
		if known || command.Lookup([]byte(m[1])) == nil && !subcommand(m[1]) && !slices.Contains(otherWords, m[1]) {
			found[m[1]] = text
		}
	}
	for _, r := range replyCodes {
		if found[r.says] == "" {
			t.Errorf("no reply begins with %s", r.says)
		}
		delete(found, r.says)
	}
	for word, text := range found {
		t.Errorf("replies that begin with %s have no remedy (or are none: otherWords): %q", word, text)
	}

	everything := slices.Concat(replies, literals(t, "../../core/backup", "../../core/sink", "../../core/manifest", "../../core/repair", "../../core/vfs", "../../plugins/host", "../../plugins/blob", "."))
	var b strings.Builder
	table := func(heading, intro, column string, rows []remedy) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| %s | it means | what to do |\n|---|---|---|\n", heading, intro, column)
		for _, r := range rows {
			if column != "code" && !slices.ContainsFunc(everything, func(text string) bool { return strings.Contains(text, r.says) }) {
				t.Errorf("nothing says %q any more", r.says)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.says, r.means, r.do)
		}
	}
	table("Replies with a code", "The first word of an error reply. INFO `errorstats` counts them.", "code", replyCodes)
	table("Replies that begin with ERR", "Of these the words are what tells them apart. Those that are not here speak for themselves, and are Redis's.", "words", plainReplies)
	table("What ends a start", "The last lines of the daemon's log, and of `systemctl status`; exit status 1, and nothing on disk has changed. A mistake in plugins.hcl is shown with its place and exit status 2.", "words", startErrors)
	table("What sinks say", "In the daemon's log, in the error of BGSAVE, and in `spillway status`.", "words", sinkErrors)
	table("What the tools for backups say", "", "words", restoreErrors)
	testutil.Document(t, "../../docs/reference-errors.md", "errors", strings.ReplaceAll(b.String(), "\n\n\n", "\n\n"))
}

// subcommand tells whether a container has a subcommand of this name.
func subcommand(name string) bool {
	for _, c := range command.All() {
		if len(c.Sub) > 0 && c.Resolve([][]byte{[]byte(c.Name), []byte(name)}) != c {
			return true
		}
	}
	return false
}

// literals are the texts in the Go files of directories, tests not among them; what +
// puts together is one text.
func literals(t *testing.T, dirs ...string) (out []string) {
	t.Helper()
	for _, dir := range dirs {
		files, err := fs.Glob(os.DirFS(filepath.FromSlash(dir)), "*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || name == "table_gen.go" {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(filepath.FromSlash(dir), name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				expr, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				text := joined(expr)
				if text != "" {
					out = append(out, text)
				}
				return text == ""
			})
		}
	}
	return out
}

// joined is the text of a literal, or of several that + joins; what is between them
// and no literal is left out.
func joined(n ast.Expr) string {
	switch n := n.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if n.Op == token.ADD {
			return joined(n.X) + joined(n.Y)
		}
	}
	return ""
}
