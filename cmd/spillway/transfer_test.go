package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestExport: one file of several shards, with and without a log behind the
// checkpoint, that a real redis-server loads.
func TestExport(t *testing.T) {
	t.Parallel()
	dir, mirror := t.TempDir(), t.TempDir()
	d := startConfig(t, mirrored(dir, mirror, `stage "zstd" {}`, true), "--shards", "3", "--save", "", "--appendfsync", "always")
	populate(t, d.rdb)
	d.do("SAVE")
	atCheckpoint := dataset(t, d.rdb)
	d.do("SET", "in the log", "yes")
	d.do("DEL", "int")
	d.do("MULTI")
	d.do("EXEC")
	if _, err := d.rdb.TxPipelined(context.Background(), func(p redis.Pipeliner) error {
		p.HSet(context.Background(), "tx", "a", 1)
		p.RPush(context.Background(), "tx list", "b")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	now := dataset(t, d.rdb)
	for _, c := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{"rdb of a running daemon", []string{"--dir", dir, "--format", "rdb"}, now},
		{"aof of a running daemon", []string{"--dir", dir, "--format", "aof"}, now},
		{"rdb of the mirror", []string{"--from", mirror, "--format", "rdb"}, atCheckpoint},
		{"aof of the mirror", []string{"--from", mirror, "--format", "aof"}, atCheckpoint},
		{"rdb of a generation", []string{"--dir", dir, "--at", "1"}, atCheckpoint},
	} {
		at := t.TempDir()
		file, flags := filepath.Join(at, "dump.rdb"), []string(nil)
		if strings.HasPrefix(c.name, "aof") {
			file, flags = filepath.Join(at, "appendonly.aof"), []string{"--appendonly", "yes"}
		}
		mustRun(t, append([]string{"export", "--to", file}, c.args...)...)
		if flags == nil {
			tool(t, nil, "redis-check-rdb", file)
		}
		_, r := redisServer(t, at, flags...)
		sameDataset(t, c.name, dataset(t, r), c.want)
		if left := mustGlob(t, filepath.Join(at, ".*")); len(left) > 2 { // . and .. at most
			t.Errorf("%s leaves %v", c.name, left)
		}
	}

	// To the standard output nothing else goes.
	cmd := exec.Command(binary, "export", "--from", mirror, "--to", "-")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil || !bytes.HasPrefix(out, []byte("REDIS0010")) {
		t.Fatalf("%v: %.40q", err, out)
	}
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, nil, "redis-check-rdb", file)
	for _, args := range [][]string{{"--to", "x", "--format", "csv"}, {"--format", "rdb"}} {
		if out, code := spillway(t, append([]string{"export", "--dir", dir}, args...)...); code != 2 {
			t.Errorf("export %v: exit %d\n%s", args, code, out)
		}
	}
}

// started is a daemon on an imported directory.
func started(t *testing.T, dir string) map[string]string {
	t.Helper()
	d := startDaemon(t, dir, "--save", "")
	defer d.stop()
	return dataset(t, d.rdb)
}

// TestImportFiles takes over what a real redis-server has on its disk.
func TestImportFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	at := t.TempDir()
	_, r := redisServer(t, at, "--appendonly", "yes")
	populate(t, r)
	if err := r.BgRewriteAOF(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		info := r.Info(ctx, "persistence").Val()
		if infoField(info, "aof_rewrite_in_progress") == "0" && infoField(info, "aof_rewrite_scheduled") == "0" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the rewrite does not end")
		}
	}
	if _, err := r.TxPipelined(ctx, func(p redis.Pipeliner) error { // behind the base
		p.Set(ctx, "later", "1", 0)
		p.Incr(ctx, "later")
		p.SetEx(ctx, "later expires", "x", time.Hour)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	want := dataset(t, r)
	if err := r.ConfigSet(ctx, "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Set(ctx, "last", "torn", 0).Err(); err != nil {
		t.Fatal(err)
	}

	to := t.TempDir()
	out := mustRun(t, "import", filepath.Join(at, "dump.rdb"), "--to", to, "--quiet")
	if !strings.Contains(out, fmt.Sprintf("%d keys", len(want))) {
		t.Errorf("it says:\n%s", out)
	}
	sameDataset(t, "dump.rdb", started(t, to), want)

	// The last command is cut short, as by a crash.
	incr := mustGlob(t, filepath.Join(at, "appendonlydir", "*.incr.aof"))
	edit(t, incr[len(incr)-1], func(b []byte) []byte { return b[:len(b)-3] })
	for _, dir := range []string{at, filepath.Join(at, "appendonlydir")} {
		to = t.TempDir()
		if out := mustRun(t, "import", "--from", dir, "--to", to, "--quiet"); !strings.Contains(out, "in the middle of a command") {
			t.Errorf("it says:\n%s", out)
		}
		sameDataset(t, "appendonlydir", started(t, to), want)
	}

	if out, code := spillway(t, "import", filepath.Join(at, "dump.rdb"), "--to", to); code != 1 || !strings.Contains(out, "not empty") {
		t.Errorf("into a directory that is taken: exit %d\n%s", code, out)
	}
	// What export writes import reads.
	file := filepath.Join(t.TempDir(), "all.aof")
	mustRun(t, "export", "--dir", to, "--format", "aof", "--to", file)
	to = t.TempDir()
	mustRun(t, "import", file, "--to", to, "--quiet")
	sameDataset(t, "there and back", started(t, to), want)
}

// TestImportUnsupported: what cannot be held is named, or left out. An import
// that failed leaves a directory that no daemon starts on, and can be repeated.
func TestImportUnsupported(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	at := t.TempDir()
	_, r := redisServer(t, at, "--appendonly", "yes", "--aof-use-rdb-preamble", "no")
	populate(t, r)
	want := dataset(t, r)
	if err := r.FunctionLoad(ctx, "#!lua name=lib\nredis.register_function('f', function() return 1 end)").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	// As with a module loaded: its value in the snapshot, its command in the log. A
	// checksum of zeros is none.
	edit(t, filepath.Join(at, "dump.rdb"), func(b []byte) []byte {
		module := "\x07\x06events" + "\x81\x50\x00\x00\x00\x00\x00\x00\x00" + "\x05\x04text" + "\x00" // type 7, key, id, a string, the end
		return append(append(b[:len(b)-9:len(b)-9], module...), append([]byte{0xff}, make([]byte, 8)...)...)
	})
	incr := mustGlob(t, filepath.Join(at, "appendonlydir", "*.incr.aof"))
	edit(t, incr[len(incr)-1], func(b []byte) []byte {
		return append(b, "*4\r\n$8\r\nJSON.SET\r\n$6\r\nevents\r\n$1\r\n$\r\n$1\r\n1\r\n"...)
	})
	for _, c := range []struct{ from, refusal string }{
		{filepath.Join(at, "dump.rdb"), `unsupported module value (7) in key "events"`},
		{filepath.Join(at, "appendonlydir"), `unsupported command "JSON.SET" on key "events"`},
	} {
		to := t.TempDir()
		out, code := spillway(t, "import", c.from, "--to", to, "--quiet")
		if code != 1 || !strings.Contains(out, c.refusal) || !strings.Contains(out, "--skip-unsupported") {
			t.Errorf("%s: exit %d, want %q\n%s", c.from, code, c.refusal, out)
		}
		if out, code := spillway(t, "serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--dir", to); code != 1 || !strings.Contains(out, "spillway import") {
			t.Errorf("a daemon on it: exit %d\n%s", code, out)
		}
		out = mustRun(t, "import", c.from, "--to", to, "--quiet", "--skip-unsupported")
		if !strings.Contains(out, "left out") || !strings.Contains(out, `"events"`) {
			t.Errorf("it says:\n%s", out)
		}
		sameDataset(t, c.from, started(t, to), want)
	}
}

// TestFunctionsOfRedis: function libraries of a real redis-server are taken over from
// its snapshot and from its log, outlive a reload, a rewrite and the loss of the machine,
// and go back to a real redis-server from either kind of checkpoint in either format.
func TestFunctionsOfRedis(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	at := t.TempDir()
	_, r := redisServer(t, at, "--appendonly", "yes", "--aof-use-rdb-preamble", "no")
	for _, name := range []string{"one", "two"} {
		if err := r.FunctionLoad(ctx, "#!lua name="+name+"\nredis.register_function('f"+name+"', function() return '"+name+"' end)").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]any{{"FUNCTION", "DELETE", "two"}, {"SET", "k", "v"}} {
		if err := r.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	back := func(what, format string, args ...string) {
		t.Helper()
		at := t.TempDir()
		file, flags := filepath.Join(at, "dump.rdb"), []string(nil)
		if format == "aof" {
			file, flags = filepath.Join(at, "appendonly.aof"), []string{"--appendonly", "yes"}
		}
		mustRun(t, append([]string{"export", "--to", file, "--format", format}, args...)...)
		_, r := redisServer(t, at, flags...)
		list, err := r.FunctionList(ctx, redis.FunctionListQuery{}).Result()
		if err != nil || len(list) != 1 || list[0].Name != "one" {
			t.Errorf("%s as %s: FUNCTION LIST is %v, %v", what, format, list, err)
		}
		if got, err := r.FCall(ctx, "fone", nil).Text(); err != nil || got != "one" || r.Get(ctx, "k").Val() != "v" {
			t.Errorf("%s as %s: FCALL says %q, %v", what, format, got, err)
		}
	}
	for _, from := range []string{filepath.Join(at, "dump.rdb"), filepath.Join(at, "appendonlydir")} {
		dir, mirror := filepath.Join(t.TempDir(), "data"), t.TempDir()
		mustRun(t, "import", from, "--to", dir, "--quiet")
		back(from, "rdb", "--dir", dir)
		d := startConfig(t, mirrored(dir, mirror, "", true), "--save", "", "--appendfsync", "always", "--enable-debug-command", "local")
		d.do("DEBUG", "RELOAD")
		d.do("BGREWRITEAOF")
		d.waitFor("the rewrite", func() bool { return d.info("aof_rewrite_in_progress") == "0" && d.info("aof_rewrite_scheduled") == "0" })
		d.kill()
		for _, format := range []string{"rdb", "aof"} {
			back("the rewrite", format, "--dir", dir)
		}
		if out := mustRun(t, "verify", "--from", mirror); strings.Contains(out, "damage") {
			t.Errorf("verify says:\n%s", out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		mustRun(t, "restore", "--from", mirror, "--to", dir, "--quiet")
		back("what was restored", "rdb", "--dir", dir)
	}
}

// TestImportFromRedis takes the dataset of a running redis-server, from its
// disk and diskless, with a password, through TLS.
func TestImportFromRedis(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var want map[string]string
	for _, diskless := range []string{"no", "yes"} {
		port := freePort(t)
		_, r := redisServer(t, t.TempDir(), "--port", port, "--repl-diskless-sync", diskless, "--repl-diskless-sync-delay", "0")
		populate(t, r)
		want = dataset(t, r)
		if err := r.ConfigSet(ctx, "requirepass", "s3cret").Err(); err != nil {
			t.Fatal(err)
		}
		addr := "127.0.0.1:" + port
		to := t.TempDir()
		if out, code := spillway(t, "import", "redis://"+addr, "--to", to, "--quiet"); code != 1 || !strings.Contains(out, "NOAUTH") {
			t.Errorf("without the password: exit %d\n%s", code, out)
		}
		out := mustRun(t, "import", "redis://:s3cret@"+addr, "--to", to, "--quiet")
		if strings.Contains(out, "s3cret") {
			t.Errorf("the password is shown:\n%s", out)
		}
		sameDataset(t, "diskless "+diskless, started(t, to), want)

		cert, listener := tlsTo(t, addr)
		to = t.TempDir()
		url := "rediss://default:s3cret@" + listener
		if out, code := spillway(t, "import", url, "--to", to, "--quiet"); code != 1 || !strings.Contains(out, "certificate") {
			t.Errorf("a certificate nobody knows: exit %d\n%s", code, out)
		}
		mustRun(t, "import", url, "--to", to, "--quiet", "--cacert", cert)
		sameDataset(t, "TLS, diskless "+diskless, started(t, to), want)
	}
	if out, code := spillway(t, "import", "redis://", "--to", t.TempDir()); code != 1 && code != 2 {
		t.Errorf("an address without a host: exit %d\n%s", code, out)
	}
}

// tlsTo listens with TLS and passes everything on to addr. It returns the file
// with its certificate.
func tlsTo(t *testing.T, addr string) (certFile, listener string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certFile = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer up.Close()
				go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
				_, _ = io.Copy(c, up)
			}()
		}
	}()
	return certFile, l.Addr().String()
}
