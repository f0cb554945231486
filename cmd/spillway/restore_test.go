package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// secretKey makes an age identity and returns its file and its public key.
func secretKey(t *testing.T) (file, recipient string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "backup.key")
	if err := os.WriteFile(file, []byte("# a comment, as age-keygen writes one\n"+id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, id.Recipient().String()
}

// lost is a mirror, compressed and encrypted, of a machine that is gone.
type lost struct {
	mirror, key, stages string
	want                map[string]string
}

func lose(t *testing.T) *lost {
	t.Helper()
	key, recipient := secretKey(t)
	l := &lost{mirror: t.TempDir(), key: key}
	l.stages = fmt.Sprintf("stage \"zstd\" {}\nstage \"age\" {\n recipients = [%q]\n identities = [file(%q)]\n}", recipient, key)
	d := startConfig(t, mirrored(t.TempDir(), l.mirror, l.stages, true), "--shards", "3", "--save", "")
	populate(t, d.rdb)
	d.do("SAVE")
	l.want = dataset(t, d.rdb)
	d.do("SET", "after the backup", "is lost")
	d.kill()
	return l
}

// mustRun runs the binary and wants success.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, code := spillway(t, args...)
	if code != 0 {
		t.Fatalf("spillway %v: exit %d\n%s", args, code, out)
	}
	return out
}

// TestRestoreCommand: everything is gone but the mirror and the key.
func TestRestoreCommand(t *testing.T) {
	t.Parallel()
	l := lose(t)

	// As it is stored: the same configuration starts on it.
	to := filepath.Join(t.TempDir(), "data")
	out := mustRun(t, "restore", "--from", l.mirror, "--to", to, "--quiet")
	if !strings.Contains(out, "restored "+to) || !strings.Contains(out, "in 3 parts") {
		t.Errorf("it says:\n%s", out)
	}
	d := startConfig(t, mirrored(to, t.TempDir(), l.stages, true), "--save", "")
	sameDataset(t, "the restored daemon", dataset(t, d.rdb), l.want)
	d.waitLog("checkpoint committed") // the first one by itself
	if got := d.bgsave(); got != "ok" {
		t.Errorf("its next checkpoint: %s\n%s", got, d.log.String())
	}
	d.stop()

	// Plain: any configuration does.
	to = t.TempDir()
	var res struct {
		Keys    int64
		Parts   int
		Bytes   int64
		Ends    string
		At      string
		Resumed bool
	}
	out = mustRun(t, "restore", "--from", "file://"+l.mirror, "--to", to, "--plain", "--identity", l.key, "--json", "--quiet", "--at", "1")
	if err := json.Unmarshal([]byte(out), &res); err != nil || res.Keys != int64(len(l.want)) || res.Parts != 3 || res.Bytes == 0 || res.Ends != "cut" || res.At != "1" {
		t.Errorf("%v, %+v:\n%s", err, res, out)
	}
	d = startDaemon(t, to)
	sameDataset(t, "the plain daemon", dataset(t, d.rdb), l.want)
	d.stop()

	// The programs that everybody has can do it as well.
	for _, part := range mustGlob(t, filepath.Join(l.mirror, "checkpoints", "*", "shard-*.rdb.zst.age")) {
		stored, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		raw := tool(t, tool(t, stored, "age", "-d", "-i", l.key), "zstd", "-d", "-c")
		file := filepath.Join(t.TempDir(), "dump.rdb")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if out := tool(t, nil, "redis-check-rdb", file); !bytes.Contains(out, []byte("RDB looks OK")) {
			t.Errorf("redis-check-rdb: %s", out)
		}
	}
}

// TestRestoreRefuses: what is wrong is said, with the exit status for it, and
// nothing is written.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	l := lose(t)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "precious.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "new")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--from", l.mirror, "--to", full}, 1, "it holds precious.txt"},
		{[]string{"--from", l.mirror}, 2, "--to"},
		{[]string{"--to", to}, 2, "say where the backup is"},
		{[]string{"--from", filepath.Join(full, "nothing"), "--to", to}, 2, "not a directory"},
		{[]string{"--from", full, "--to", to}, 2, "holds no backup"},
		{[]string{"--from", "ftp://host/x", "--to", to}, 2, `"ftp"`},
		{[]string{"--from", "offsite", "--to", to}, 2, "no sink and no directory"},
		{[]string{"--from", l.mirror, "--to", to, "--at", "yesterday"}, 2, "is no moment"},
		{[]string{"--from", l.mirror, "--to", to, "--at", "77"}, 1, "generation 77"},
		{[]string{"--from", l.mirror, "--to", to, "--at", "2001-02-03"}, 1, "as old as"},
		{[]string{"--from", l.mirror, "--to", to, "--identity", filepath.Join(full, "precious.txt")}, 2, "identity"},
		{[]string{"--from", l.mirror, "--to", filepath.Join(full, "x"), "--plain"}, 1, "--identity FILE"},
	} {
		out, code := spillway(t, append([]string{"restore", "--quiet"}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("restore %v: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.want, out)
		}
	}
	if left := mustGlob(t, filepath.Join(full, "*")); len(left) > 2 {
		t.Errorf("the full directory has %v", left)
	}
}

// TestRestoreResumes: a part is damaged, so the restore stops. No daemon starts
// on what is there; once the part is whole the same command goes on.
func TestRestoreResumes(t *testing.T) {
	t.Parallel()
	l := lose(t)
	to := filepath.Join(t.TempDir(), "data")
	bad := mustGlob(t, filepath.Join(l.mirror, "checkpoints", "*", "shard-0002*"))[0]
	whole, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, bad, flip(0.5))
	args := []string{"restore", "--from", l.mirror, "--to", to, "--parallel", "1", "--json", "--quiet"}
	out, code := spillway(t, args...)
	if code != 1 || !strings.Contains(out, "shard-0002") || !strings.Contains(out, "run the same command again") {
		t.Fatalf("with a damaged part: exit %d\n%s", code, out)
	}
	for _, cmd := range [][]string{{"serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--dir", to}, {"repair", "--dir", to}, {"verify", "--dir", to, "--quiet"}} {
		if out, code := spillway(t, cmd...); code == 0 || !strings.Contains(out, "spillway restore --from "+l.mirror) {
			t.Errorf("%s on a half-restored directory: exit %d\n%s", cmd[0], code, out)
		}
	}
	if err := os.WriteFile(bad, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	var res struct {
		Resumed       bool
		Bytes, Reused int64
	}
	out = mustRun(t, args...)
	if err := json.Unmarshal([]byte(out), &res); err != nil || !res.Resumed || res.Reused == 0 || res.Bytes == 0 {
		t.Errorf("%v: %s", err, out)
	}
	d := startConfig(t, mirrored(to, t.TempDir(), l.stages, true), "--save", "")
	sameDataset(t, "the restored daemon", dataset(t, d.rdb), l.want)
}

// TestRestoreDataDirInTime goes back to moments of a daemon that runs.
func TestRestoreDataDirInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir, "--save", "", "--appendfsync", "always")
	d.do("SET", "k", "0")
	d.do("SAVE")
	var moments []time.Time
	for i := 1; i <= 3; i++ {
		d.do("SET", "k", i)
		d.do("RPUSH", "l", i)
		time.Sleep(5 * time.Millisecond)
		moments = append(moments, time.Now())
		time.Sleep(5 * time.Millisecond)
	}
	for i, at := range moments {
		to := t.TempDir()
		mustRun(t, "restore", "--from", dir, "--to", to, "--at", at.Format(time.RFC3339Nano), "--quiet")
		r := startDaemon(t, to, "--save", "")
		if k, n := r.do("GET", "k"), r.do("LLEN", "l"); k != fmt.Sprint(i+1) || n != int64(i+1) {
			t.Errorf("at moment %d k is %v, the list has %v", i+1, k, n)
		}
		r.stop()
	}
	mustRun(t, "verify", "--dir", dir, "--quiet") // beside the daemon
	bad := t.TempDir()
	if err := os.CopyFS(bad, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	log := newest(t, filepath.Join(bad, "log", "*.aof"))
	edit(t, log, flip(0.2))
	if out, code := spillway(t, "verify", "--dir", bad, "--quiet"); code != 1 || !strings.Contains(out, "DAMAGED  log segment log/"+filepath.Base(log)+" is corrupt at offset") {
		t.Errorf("a damaged log: exit %d\n%s", code, out)
	}
	out := mustRun(t, "inspect", "--dir", dir)
	if !strings.Contains(out, "restorable: every moment from") || !strings.Contains(out, "1 log segment, ") {
		t.Errorf("inspect says:\n%s", out)
	}
}

// TestServeRestoreIfEmpty: a daemon whose disk is gone comes back by itself, once.
func TestServeRestoreIfEmpty(t *testing.T) {
	t.Parallel()
	mirror, data := t.TempDir(), t.TempDir()
	hcl := func(data string) string { return mirrored(data, mirror, `stage "zstd" {}`, true) }
	d := startConfig(t, hcl(data), "--save", "", "--restore-if-empty")
	if !strings.Contains(d.log.String(), "starting with nothing") {
		t.Errorf("the first start says:\n%s", d.log.String())
	}
	populate(t, d.rdb)
	d.do("SAVE")
	want := dataset(t, d.rdb)
	d.kill()

	fresh := filepath.Join(t.TempDir(), "data")
	d = startConfig(t, hcl(fresh), "--save", "", "--restore-if-empty", "--restore-from", "mirror")
	sameDataset(t, "on a new disk", dataset(t, d.rdb), want)
	d.do("SET", "later", "1")
	d.do("DEL", "int")
	d.waitLog("checkpoint committed") // the first one by itself
	if got := d.bgsave(); got != "ok" {
		t.Errorf("a checkpoint on the sink it was restored from: %s\n%s", got, d.log.String())
	}
	d.stop()
	d = startConfig(t, hcl(fresh), "--save", "", "--restore-if-empty")
	if got := fmt.Sprint(d.do("GET", "later"), d.do("EXISTS", "int")); got != "10" {
		t.Errorf("a directory that is not empty was restored over: %s", got)
	}
	d.stop()
	if out, code := spillway(t, "serve", "--restore-from", "mirror"); code != 2 || !strings.Contains(out, "--restore-if-empty") {
		t.Errorf("--restore-from alone: exit %d\n%s", code, out)
	}
}

// TestVerifyAndInspect: what is there is told, in words and in JSON, and damage
// is found where it is.
func TestVerifyAndInspect(t *testing.T) {
	t.Parallel()
	l := lose(t)
	type verdict struct {
		Whole bool
		Keys  map[string]int64
		Parts []struct{ Part, Damage string }
	}
	verify := func(code int, args ...string) (v verdict, out string) {
		t.Helper()
		out, got := spillway(t, append([]string{"verify", "--from", l.mirror, "--json", "--quiet"}, args...)...)
		if err := json.Unmarshal([]byte(out), &v); err != nil || got != code || v.Whole != (code == 0) {
			t.Fatalf("verify %v: exit %d, want %d, %v\n%s", args, got, code, err, out)
		}
		return v, out
	}
	var n int64
	v, out := verify(0, "--identity", l.key)
	for _, k := range v.Keys {
		n += k
	}
	if n != int64(len(l.want)) || v.Keys["zset"] < 4 || len(v.Parts) != 3 {
		t.Errorf("%d keys, want %d:\n%s", n, len(l.want), out)
	}
	verify(0, "--deep=false") // without the key
	if out, code := spillway(t, "verify", "--from", l.mirror, "--json", "--quiet"); code != 2 || !strings.Contains(out, "--identity FILE") || !strings.Contains(out, `"unread"`) {
		t.Errorf("without the key: exit %d\n%s", code, out)
	}

	var inv struct {
		Checkpoints []struct {
			Generation, Keys, Bytes int64
			Ratio                   float64
			Stages                  []string
			Parts                   []struct{ Name, SHA256 string }
		}
		Windows []struct{ From, To time.Time }
	}
	out = mustRun(t, "inspect", "--from", l.mirror, "--json")
	if err := json.Unmarshal([]byte(out), &inv); err != nil || len(inv.Checkpoints) != 1 || len(inv.Windows) != 1 {
		t.Fatalf("inspect: %v\n%s", err, out)
	}
	if c := inv.Checkpoints[0]; c.Keys != n || c.Ratio <= 1 || fmt.Sprint(c.Stages) != "[zstd age]" || len(c.Parts) != 3 {
		t.Errorf("the checkpoint is %+v", c)
	}
	if out := mustRun(t, "inspect", "--from", l.mirror, "--parts"); !strings.Contains(out, "zstd → age") || !strings.Contains(out, "shard-0001.rdb.zst.age") {
		t.Errorf("inspect says:\n%s", out)
	}

	edit(t, mustGlob(t, filepath.Join(l.mirror, "checkpoints", "*", "shard-0001*"))[0], flip(0.7))
	for _, args := range [][]string{{"--identity", l.key}, {"--deep=false"}} {
		v, out := verify(1, args...)
		for _, p := range v.Parts {
			if (p.Damage != "") != strings.HasPrefix(p.Part, "shard-0001") {
				t.Errorf("%s: %s", p.Part, p.Damage)
			}
		}
		if !strings.Contains(out, "offset") {
			t.Errorf("no offset is named:\n%s", out)
		}
	}
	if out, code := spillway(t, "verify", "--from", l.mirror, "--identity", l.key, "--quiet"); code != 1 || !strings.Contains(withoutTokens(out), "DAMAGED  snapshot 00000001 shard-0001") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestBackupsPrune removes what no rule keeps, and nothing when it is dry.
func TestBackupsPrune(t *testing.T) {
	t.Parallel()
	mirror, data := t.TempDir(), t.TempDir()
	hcl := strings.Replace(mirrored(data, mirror, "", true), "keep     = 2", "", 1)
	d := startConfig(t, hcl, "--save", "")
	for i := range 4 {
		d.do("SET", "k", i)
		d.do("SAVE")
	}
	d.stop()
	out := mustRun(t, "backups", "list", "--from", mirror)
	if strings.Count(out, "snapshot") != 4 {
		t.Errorf("list says:\n%s", out)
	}
	config := writeConfig(t, strings.Replace(hcl, `timeout  = "30s"`, "timeout = \"30s\"\n    keep = { last = 3 }", 1))
	for _, c := range []struct {
		args []string
		code int
		want string
		left string
	}{
		{[]string{"--from", mirror}, 2, "say what to keep", "1 2 3 4"},
		{[]string{"--from", data, "--keep-last", "1"}, 2, "data directory", "1 2 3 4"},
		{[]string{"--from", mirror, "--keep-last", "2", "--dry-run"}, 0, "would remove 2 sets", "1 2 3 4"},
		{[]string{"--config", config}, 0, "removed 1 set", "2 3 4"},
		{[]string{"--from", mirror, "--keep-weekly", "5"}, 0, "removed 2 sets", "4"},
		{[]string{"--from", mirror, "--keep-hourly", "1", "--json"}, 0, `"removed": []`, "4"},
	} {
		out, code := spillway(t, append([]string{"backups", "prune"}, c.args...)...)
		var left []string
		for _, id := range published(t, mirror) {
			left = append(left, strings.TrimLeft(id, "0"))
		}
		if got := strings.Join(left, " "); code != c.code || !strings.Contains(out, c.want) || got != c.left {
			t.Errorf("prune %v: exit %d, want %d; left %s, want %s; want %q in\n%s", c.args, code, c.code, got, c.left, c.want, out)
		}
	}
}

// TestRestoreKilled kills a restore again and again, at any moment, and lets it
// come to its end: then everything is there, and no daemon started before that.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	rng := seededRand(t)
	mirror, data := t.TempDir(), t.TempDir()
	d := startConfig(t, mirrored(data, mirror, "", true), "--save", "", "--shards", "5", "--appendonly", "no")
	ctx := context.Background()
	want := make(map[string]string)
	for i := range 2500 {
		value := make([]byte, 8000)
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		k := fmt.Sprint("key:", i)
		want[k] = string(value)
		if err := d.rdb.Set(ctx, k, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	d.do("SAVE")
	d.kill()
	to := filepath.Join(t.TempDir(), "data")
	args := []string{"restore", "--from", mirror, "--to", to, "--parallel", "2", "--json", "--quiet"}
	killed := 0
	for range 20 {
		cmd := exec.Command(binary, args...)
		cmd.Dir = t.TempDir()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(10+rng.IntN(40)) * time.Millisecond)
		_ = cmd.Process.Kill()
		if cmd.Wait() == nil {
			break // it was done before
		}
		killed++
		marked := len(mustGlob(t, filepath.Join(to, "RESTORE.json"))) == 1
		if !marked && len(mustGlob(t, filepath.Join(to, "MANIFEST"))) == 1 {
			break // it was killed behind its end
		}
		if !marked {
			continue // it had not begun
		}
		if out, code := spillway(t, "serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--dir", to); code != 1 || !strings.Contains(out, "half filled") {
			t.Fatalf("a daemon on half a directory: exit %d\n%s", code, out)
		}
	}
	t.Logf("killed %d times", killed)
	if out, code := spillway(t, args...); code != 0 && !strings.Contains(out, "MANIFEST") {
		t.Fatalf("the last run: exit %d\n%s", code, out)
	}
	r := startDaemon(t, to, "--save", "", "--appendonly", "no")
	if n := r.do("DBSIZE"); n != int64(len(want)) {
		t.Errorf("%v keys, want %d", n, len(want))
	}
	for k, v := range want {
		if got := r.rdb.Get(ctx, k).Val(); got != v {
			t.Fatalf("%s has %d bytes that are not what was written", k, len(got))
		}
	}
}

// seededRand draws a seed and says how to draw the same again.
func seededRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SPILLWAY_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with: SPILLWAY_SEED=%d go test ./cmd/spillway -run '^%s$'", seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}
