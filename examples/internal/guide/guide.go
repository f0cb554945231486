// Package guide runs what the examples' READMEs tell an author to do: build the
// plugin, pin it, configure it, run a server with it. It is for their tests.
//
// It refuses to have an opinion about the plugin: the configuration is the one
// in the README.
package guide

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is the hang guard of everything that waits.
const patience = time.Minute

// Guide is a directory in which a README is being followed.
type Guide struct {
	t        testing.TB
	dir      string
	spillway string
	plugin   string
	config   string
	daemon   *exec.Cmd
	log      strings.Builder
}

var (
	hclFence = regexp.MustCompile("(?s)```hcl\n(.*?)```")
	pin      = regexp.MustCompile(`"sha256:[^"]*"`)
)

// Follow builds the plugin of the package in the current directory, under the
// name that the README gives it, and the server; the configuration is what the
// README shows, with the plugin's own checksum.
func Follow(t testing.TB) *Guide {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := hclFence.FindSubmatch(readme)
	if fence == nil {
		t.Fatal("the README has no ```hcl")
	}
	command := regexp.MustCompile(`command\s*=\s*\["\./([^"]+)"\]`).FindSubmatch(fence[1])
	if command == nil {
		t.Fatalf("no command = [\"./…\"] in the README's configuration:\n%s", fence[1])
	}
	g := &Guide{t: t, dir: t.TempDir()}
	g.spillway, g.plugin = filepath.Join(g.dir, "spillway"), filepath.Join(g.dir, string(command[1]))
	g.must(exec.Command("go", "build", "-o", g.plugin, "."))
	g.must(exec.Command("go", "build", "-o", g.spillway, "github.com/spillwaydb/spillway/cmd/spillway"))
	if !strings.Contains(string(readme), "go build -o "+string(command[1])) {
		t.Errorf("the README does not say how to build %s", command[1])
	}
	sum, _, _ := strings.Cut(g.Run("plugins", "checksum", g.plugin), " ")
	g.config = filepath.Join(g.dir, "plugins.hcl")
	hcl := pin.ReplaceAllLiteralString(string(fence[1]), fmt.Sprintf("%q", sum))
	if err := os.WriteFile(g.config, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// Dir is where the server runs.
func (g *Guide) Dir() string { return g.dir }

// Plugin is the built plugin.
func (g *Guide) Plugin() string { return g.plugin }

// Run runs a command of spillway to its end and returns what it prints.
func (g *Guide) Run(args ...string) string {
	g.t.Helper()
	return g.must(exec.Command(g.spillway, args...))
}

func (g *Guide) must(cmd *exec.Cmd) string {
	g.t.Helper()
	if filepath.IsAbs(cmd.Path) && strings.HasPrefix(cmd.Path, g.dir) {
		cmd.Dir = g.dir
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// Serve runs the server until stop is called, which ends it with SIGTERM.
func (g *Guide) Serve() (c *redis.Client, stop func()) {
	g.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command(g.spillway, "serve", "--port", port)
	cmd.Dir = g.dir
	cmd.Stdout, cmd.Stderr = &g.log, &g.log // one goroutine writes: it is read when the server has ended
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	g.t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	c = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, MaxRetries: -1, ReadTimeout: patience, DisableIdentity: true})
	g.t.Cleanup(func() { _ = c.Close() })
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := c.Ping(context.Background()).Err()
		if err == nil {
			break
		}
		select {
		case <-ended:
			g.t.Fatalf("the server ended at start:\n%s", g.log.String())
		default:
		}
		if time.Now().After(end) {
			g.t.Fatalf("the server does not answer: %v", err)
		}
	}
	return c, func() {
		g.t.Helper()
		if err := errors.Join(c.Close(), cmd.Process.Signal(syscall.SIGTERM)); err != nil {
			g.t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(patience):
			g.t.Fatal("the server does not end")
		}
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			g.t.Fatalf("the server ends with status %d:\n%s", code, g.log.String())
		}
	}
}
