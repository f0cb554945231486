package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/plugins/plugintest/servers"
)

// TestRestoreFromStores brings a daemon back from an object store by its URL
// alone, and from an SFTP server by the name of a sink, in process and in a
// plugin.
func TestRestoreFromStores(t *testing.T) {
	t.Run("s3", func(t *testing.T) {
		s := servers.StartS3(t)
		bucket := s.Bucket(t)
		near, far := s.URL(bucket, "near"), s.URL(bucket, "far")
		hcl := remoteSinks(t, t.TempDir(), "blob", fmt.Sprintf("url = %q", near), fmt.Sprintf("url = %q", far), s.Env)
		testRestoreFrom(t, hcl, near, far, "near", "far")
	})
	t.Run("sftp", func(t *testing.T) {
		s := servers.StartSSH(t)
		attrs := func(dir string) string {
			return fmt.Sprintf("url = %q\nkey_file = %q\nknown_hosts = %q\n", s.URL(dir), s.KeyFile, s.KnownHosts)
		}
		near, far := filepath.Join(t.TempDir(), "near"), filepath.Join(t.TempDir(), "far")
		hcl := remoteSinks(t, t.TempDir(), "sftp", attrs(near), attrs(far), nil)
		testRestoreFrom(t, hcl, "near", "far", near)
	})
}

// testRestoreFrom runs a daemon, loses it, and restores from each place.
func testRestoreFrom(t *testing.T, hcl string, places ...string) {
	t.Helper()
	d := startConfig(t, hcl, "--save", "", "--shards", "3")
	populate(t, d.rdb)
	d.do("SAVE")
	want := dataset(t, d.rdb)
	d.kill()
	file := writeConfig(t, hcl)
	for _, from := range places {
		args := []string{"--from", from, "--quiet"}
		if !strings.Contains(from, "/") {
			args = append(args, "--config", file)
		}
		to := filepath.Join(t.TempDir(), "data")
		mustRun(t, append([]string{"restore", "--to", to, "--plain"}, args...)...)
		r := startDaemon(t, to, "--save", "")
		sameDataset(t, "restored from "+from, dataset(t, r.rdb), want)
		r.stop()
		mustRun(t, append([]string{"verify"}, args...)...)
		mustRun(t, append([]string{"drill", "--scratch", t.TempDir()}, args...)...)
		if out := mustRun(t, append([]string{"inspect"}, args...)...); !strings.Contains(out, "snapshot") {
			t.Errorf("inspect %s says:\n%s", from, out)
		}
	}
}
