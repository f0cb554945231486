package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// openImage unpacks the archive and returns the image for this machine.
func openImage(t *testing.T) v1.Image {
	t.Helper()
	dir := t.TempDir()
	output(t, "tar", "-C", dir, "-xf", made.path(t, "*_image.oci.tar"))
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := top.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.0.0" {
		t.Fatalf("%v: the archive's index is %+v", err, m)
	}
	index, err := top.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	if m, err = index.IndexManifest(); err != nil || len(m.Manifests) != len(made.arches) {
		t.Fatalf("%v: the index is %+v", err, m)
	}
	here := slices.IndexFunc(m.Manifests, func(d v1.Descriptor) bool { return d.Platform.Architecture == runtime.GOARCH })
	if here < 0 {
		t.Fatalf("no image for this machine: %+v", m)
	}
	img, err := index.Image(m.Manifests[here].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestImage: a user that is not root, a volume that belongs to it, the authorities of
// certificates, one static program, and nothing else.
func TestImage(t *testing.T) {
	img := openImage(t)
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/spillway"}) || c.WorkingDir != "/data" || !cfg.Created.Equal(made.date) {
		t.Errorf("the configuration is %+v", cfg)
	}
	if _, ok := c.Volumes["/data"]; !ok {
		t.Error("/data is no volume")
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%v: %d layers, want one", err, len(layers))
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files, headers := untar(t, r)
	var names []string
	for name, h := range headers {
		if !h.ModTime.Equal(made.date) {
			t.Errorf("%s is of %s", name, h.ModTime)
		}
		if h.FileInfo().Mode().IsRegular() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if want := []string{"etc/group", "etc/passwd", "etc/spillway/plugins.hcl", "etc/ssl/certs/ca-certificates.crt", "usr/bin/spillway", "usr/share/doc/spillway/LICENSE"}; !slices.Equal(names, want) {
		t.Errorf("in it are %q, want %q", names, want)
	}
	if h := headers["data/"]; h == nil || h.Uid != 65532 || h.Gid != 65532 || h.Mode != 0o700 {
		t.Errorf("/data is %+v", h)
	}
	n := 0
	for rest := files["etc/ssl/certs/ca-certificates.crt"]; ; n++ {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Errorf("authority %d: %v", n, err)
		}
		rest = more
	}
	if n < 80 {
		t.Errorf("%d authorities", n)
	}
	program, err := elf.NewFile(bytes.NewReader(files["usr/bin/spillway"]))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program wants an interpreter, which is not there")
	}
}

// TestImageRuns: the image's own command, as its user, with nothing around it but
// what is in it, serves clients and writes to its volume.
func TestImageRuns(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to make the image the root of a process")
	}
	img := openImage(t)
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	root := t.TempDir()
	for dir := root; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unpack := exec.Command("tar", "-C", root, "--numeric-owner", "-xpf", "-")
	unpack.Stdin = r
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := freePort(t)
	cmd := exec.Command(cfg.Config.Entrypoint[0], append(slices.Clone(cfg.Config.Cmd), "--port", port)...)
	cmd.Dir = cfg.Config.WorkingDir
	cmd.Env = append(slices.Clone(cfg.Config.Env), "SPILLWAY_PASSWORD=secret")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	// The health check is what the image says, but for the port, and says no where nobody answers it.
	health := func(env []string) error {
		check := cfg.Config.Healthcheck.Test
		h := exec.Command(check[1], append(slices.Clone(check[2:]), "--addr", "127.0.0.1:"+port)...)
		h.Dir, h.Env, h.SysProcAttr = cmd.Dir, env, cmd.SysProcAttr
		out, err := h.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	}
	replies := ask(t, ended, port, "AUTH secret", "SET greeting hello", "SAVE", "GET greeting", "QUIT")
	if err := health(cmd.Env); err != nil {
		t.Errorf("the health check of a daemon that serves: %v", err)
	}
	if err := health(append(slices.Clone(cmd.Env), "SPILLWAY_PASSWORD=another")); err == nil {
		t.Error("the health check says yes without an answer")
	}
	_ = ask(t, ended, port, "AUTH secret", "SHUTDOWN")
	if want := "+OK +OK $5 hello +OK"; replies != want {
		t.Errorf("it replies %q, want %q", replies, want)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if _, err := os.Stat(filepath.Join(root, "data", "MANIFEST")); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// TestImageLoads: other tools read the archive.
func TestImageLoads(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("needs skopeo")
	}
	from := "oci-archive:" + made.path(t, "*_image.oci.tar") + ":1.0.0"
	var seen struct {
		Architecture, Os string
		Layers           []string
		Labels           map[string]string
	}
	out := output(t, "skopeo", "inspect", from)
	if err := json.Unmarshal([]byte(out), &seen); err != nil || seen.Architecture != runtime.GOARCH || seen.Labels["org.opencontainers.image.version"] != "1.0.0" {
		t.Errorf("%v\n%s", err, out)
	}
	output(t, "skopeo", "--insecure-policy", "copy", "--all", from, "dir:"+t.TempDir())
	output(t, "skopeo", "--insecure-policy", "copy", from, "docker-archive:"+filepath.Join(t.TempDir(), "docker.tar")+":spillway:1.0.0")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// ask logs in to a daemon when it listens, sends commands when it has loaded its data,
// and returns what it replies until it closes the connection.
func ask(t *testing.T, ended <-chan error, port, login string, commands ...string) string {
	t.Helper()
	var conn net.Conn
	for deadline := time.Now().Add(time.Minute); conn == nil; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("it has ended: %v", err)
		default:
		}
		conn, _ = net.Dial("tcp", "127.0.0.1:"+port)
		if time.Now().After(deadline) {
			t.Fatal("it does not listen")
		}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	replies := bufio.NewReader(conn)
	for line, say := "", login; line != "+PONG"; say = "PING" {
		fmt.Fprintf(conn, "%s\r\n", say)
		got, err := replies.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", say, err)
		}
		line = strings.TrimSpace(got)
	}
	for _, c := range commands {
		fmt.Fprintf(conn, "%s\r\n", c)
	}
	var out bytes.Buffer
	_, _ = out.ReadFrom(replies) // a reset is an end, too
	return strings.Join(strings.Fields(out.String()), " ")
}
