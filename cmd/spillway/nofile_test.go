package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fifo puts a named pipe in place of a file, whose open would wait for ever.
func fifo(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// directory puts an empty directory in place of a file.
func directory(t *testing.T, path string) {
	t.Helper()
	remover(t, path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// sparse makes a file as long as memory is not, without a byte more in it.
func sparse(size int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
}

// memoryBound is what reading a directory of a few kilobytes may take, resident,
// whatever its files say of themselves; most of it is the program.
const memoryBound = 200 << 20

// TestNoFile: what is in place of a file and is none, or one without an end, in
// a data directory: every command that reads it ends, says what it found by the
// file's name, or has all of the data, and takes little memory.
func TestNoFile(t *testing.T) {
	t.Parallel()
	dir, config := damagedDir(t, plainPipeline)
	below := func(number, file string) string {
		return strings.TrimPrefix(inSet(t, dir, number, file), dir+"/")
	}
	part, set, older, log := below("00000002", "shard-0000.rdb"), below("00000002", "SET.json"), below("00000001", "SET.json"), "log/00000003.aof"
	for _, c := range []struct {
		file   string
		what   string
		damage func(*testing.T, string)
		starts bool // it is not needed for that
	}{
		{"MANIFEST", "named pipe", fifo, false},
		{"LOCK", "named pipe", fifo, false},
		{log, "named pipe", fifo, false},
		{part, "named pipe", fifo, false},
		{"RESTORE.json", "named pipe", fifo, false},
		{set, "named pipe", fifo, true},
		{older, "named pipe", fifo, true},
		{"MANIFEST", "directory", directory, false},
		{log, "directory", directory, false},
		{part, "directory", directory, false},
		{"MANIFEST", "missing", remover, false}, // it is no sink without it
		{"MANIFEST", "too large", sparse(5 << 30), false},
		{part, "more", sparse(5 << 30), false},
		{older, "bytes", sparse(5 << 30), true},
		{log, "torn", sparse(64 << 20), true},
	} {
		t.Run(c.file+" "+c.what, func(t *testing.T) {
			t.Parallel()
			hurt := filepath.Join(t.TempDir(), "data")
			if out, err := exec.Command("cp", "-a", dir, hurt).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c.damage(t, filepath.Join(hurt, c.file))
			for tool, args := range map[string][]string{
				"repair":  {"repair", "--dir", hurt},
				"inspect": {"inspect", "--from", hurt, "--quiet"},
				"verify":  {"verify", "--from", hurt, "--quiet"},
				"restore": {"restore", "--from", hurt, "--to", filepath.Join(t.TempDir(), "new"), "--quiet"},
				"serve":   append([]string{"serve", "--dir", hurt, "--port", freePort(t)}, damageFlags(config)...),
			} {
				if tool == "serve" && c.starts {
					continue
				}
				out, code, resident := measured(t, args...)
				if strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
					t.Errorf("%s:\n%s", tool, out)
				}
				if resident > memoryBound {
					t.Errorf("%s took %d MB", tool, resident>>20)
				}
				blind := c.file == "LOCK" && tool != "serve" && tool != "repair" || c.file == part && tool == "inspect" // it does not open that
				if !strings.Contains(out, filepath.Base(c.file)) && !blind && !(c.starts && code == 0) {
					t.Errorf("%s, status %d, does not name %s:\n%s", tool, code, c.file, out)
				}
				if code == 0 && !c.starts && !blind && tool != "inspect" {
					t.Errorf("%s succeeds:\n%s", tool, out)
				}
			}
			if !c.starts {
				return
			}
			d := launch(t, append([]string{"--dir", hurt}, slices.Clone(damageFlags(config))...)...)
			d.waitReady()
			if n := d.do("LLEN", "list"); n != int64(50) || d.do("EXISTS", "k0", "k199", "second") != int64(3) {
				t.Errorf("the start has %v items\n%s", n, d.log.String())
			}
			d.stop()
		})
	}
}

// measured is spillway that tells the most memory that was resident, too. What the
// kernel says of a child begins with what was resident in the process that began
// it, and this one may have read gigabytes in another test: a small one stands
// between the two (see measureChild).
func measured(t *testing.T, args ...string) (output string, code int, resident int64) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "resident")
	output, cmd := runCommand(t, exec.Command(os.Args[0], append([]string{binary}, args...)...), measureEnv+"="+report)
	b, err := os.ReadFile(report)
	if err == nil {
		_, err = fmt.Sscan(string(b), &resident)
	}
	if err != nil {
		t.Fatalf("no measurement: %v\n%s", err, output)
	}
	return output, cmd.ProcessState.ExitCode(), resident
}

const measureEnv = "SPILLWAY_TEST_MEASURE"

// measureChild is the process in between: it runs its arguments and writes to the
// file report how much memory was resident, in bytes. The result is its status.
func measureChild(report string) int {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Run() // its status says it
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		_ = os.WriteFile(report, fmt.Append(nil, u.Maxrss<<10), 0o600) // missed by who asked
	}
	return cmd.ProcessState.ExitCode()
}
