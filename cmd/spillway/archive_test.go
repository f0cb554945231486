package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/wal"
)

// TestArchive: what was acknowledged and had its time is in the archive, whatever
// becomes of the daemon and of its machine; a start goes on archiving.
func TestArchive(t *testing.T) {
	data, vault := t.TempDir(), t.TempDir()
	hcl := fmt.Sprintf(`
server {
  fsync = "always"
  save  = []
}
filesystem "os" "data"  { root = %q }
filesystem "os" "vault" { root = %q }
pipeline "checkpoint" {
  sink "filesystem" "local" { uses = filesystem.os.data }
  sink "filesystem" "vault" { uses = filesystem.os.vault }
}
pipeline "archive" {
  on         = ["segment"]
  seal_after = "100ms"
  sink "filesystem" "vault" { uses = filesystem.os.vault }
}
`, data, vault)
	ctx := context.Background()
	total := 0
	for range 3 {
		d := startConfig(t, hcl)
		for range 200 {
			if err := d.rdb.RPush(ctx, "list", total).Err(); err != nil {
				t.Fatal(err)
			}
			total++
		}
		// The time that seal_after gives, and the transfer, are over.
		d.waitFor("the archive", func() bool {
			return d.info("archive_waiting") == "0" && d.info("archive_lag_sec") == "0" && archivedPushes(t, vault) == total
		})
		if err := d.rdb.RPush(ctx, "list", total).Err(); err != nil {
			t.Fatal(err)
		}
		total++
		d.kill()
	}
	if err := os.RemoveAll(filepath.Join(data, "log")); err != nil { // the machine is gone
		t.Fatal(err)
	}
	if n := archivedPushes(t, vault); n < total-1 || n > total {
		t.Errorf("%d pushes in the archive, %d were acknowledged, the last of them just now", n, total)
	}

	// Segments bring nothing back without a checkpoint, whole as they are.
	mustRun(t, "verify", "--from", vault, "--quiet")
	for _, set := range mustGlob(t, filepath.Join(vault, "checkpoints", "0*")) {
		if err := os.RemoveAll(set); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := spillway(t, "verify", "--from", vault, "--quiet"); code != 1 || !strings.Contains(out, "nothing can be restored from this alone") || strings.Contains(out, "DAMAGED") {
		t.Errorf("verify of segments alone: exit %d\n%s", code, out)
	}
	if out := mustRun(t, "inspect", "--from", vault); !strings.Contains(out, "restorable: nothing") {
		t.Errorf("inspect of segments alone:\n%s", out)
	}
}

// archivedPushes replays what the segments of an archive have in common: the
// pushes of one list, in order, from the first, which is before every
// checkpoint. Anything else fails the test.
func archivedPushes(t *testing.T, root string) (n int) {
	t.Helper()
	fs, err := config.OpenFS(root)
	if err != nil {
		t.Fatal(err)
	}
	s := sink.NewFSSink("vault", fs, "checkpoints")
	sets, err := s.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	prev := ""
	for _, set := range sets {
		if set.ID.Kind != sink.KindSegment {
			continue
		}
		if got := set.Meta[sink.MetaPrevLogID]; got != prev {
			t.Fatalf("segment %d continues %q, before it is %q", set.ID.Generation, got, prev)
		}
		prev = set.Meta[sink.MetaLogID]
		f, err := s.Open(context.Background(), set.Parts[0].Part, set.Parts[0].SinkReceipt)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "log", "00000001.aof")
		if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		dir, err := config.OpenFS(filepath.Dir(filepath.Dir(copied)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = wal.Replay(dir, "log/00000001.aof", wal.ReplayOptions{ID: prev}, func(b wal.Block) error {
			for _, c := range b.Cmds {
				words := make([]string, len(c.Args))
				for i, a := range c.Args {
					words[i] = string(a)
				}
				if got, want := strings.ToLower(strings.Join(words, " ")), "rpush list "+strconv.Itoa(n); got != want {
					return fmt.Errorf("it has %q, want %q", got, want)
				}
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatalf("segment %d: %v", set.ID.Generation, err)
		}
	}
	return n
}
