package wal

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// TestSurvey damages one byte after another and counts what is whole behind it.
func TestSurvey(t *testing.T) {
	data, ends := threeBlocks(t, true)
	commands := []int64{1, 2, 1}
	id := string(data[len(magic) : len(magic)+16])
	for at := range data {
		bad := bytes.Clone(data)
		bad[at] ^= 0x10
		fs := fileWith(t, bad)
		blocks, cmds, err := Survey(fs, seg1, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		wantBlocks, wantCmds := int64(3), int64(4)
		for i := range 3 {
			if int64(at) >= ends[i] && int64(at) < ends[i+1] {
				wantBlocks, wantCmds = 2, 4-commands[i]
			}
		}
		// A block's bytes end with the mark behind it, which is no block.
		if blocks != wantBlocks && blocks != 3 || blocks == wantBlocks && cmds != wantCmds {
			t.Fatalf("byte %d: %d blocks, %d commands, want %d, %d", at, blocks, cmds, wantBlocks, wantCmds)
		}
		if blocks == 3 && int64(at) >= ends[0] {
			if _, res, err := contents(t, fs, true, seg1); err == nil && !res.Torn {
				t.Fatalf("byte %d: Replay finds nothing wrong", at)
			}
		}
	}
	fs := fileWith(t, data)
	for i, end := range ends {
		if blocks, _, err := Survey(fs, seg1, "", end); err != nil || blocks != int64(3-i) {
			t.Errorf("from %d: %d blocks, %v", end, blocks, err)
		}
	}
	if _, _, err := Survey(fs, seg2, id, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing segment: %v", err)
	}
}

func TestEmpty(t *testing.T) {
	data, ends := threeBlocks(t, true)
	id := string(data[len(magic) : len(magic)+16])
	other := bytes.Clone(data)
	other[len(magic)] ^= 1
	for name, c := range map[string]struct {
		content []byte
		aside   []byte
	}{
		"whole":          {data, data[ends[0]:]},
		"no blocks":      {data[:ends[0]], nil},
		"damaged header": {append([]byte("X"), data[1:]...), append([]byte("X"), data[1:]...)},
		"another id":     {other, other},
		"nothing at all": {[]byte{}, nil},
		"missing":        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fs := memfs.New()
			if c.content != nil {
				fs = fileWith(t, c.content)
			}
			aside, err := Empty(fs, seg1, id, time.UnixMilli(42))
			if err != nil {
				t.Fatal(err)
			}
			fs = fs.CrashClone(memfs.LoseAll)
			if (aside != "") != (len(c.aside) > 0) {
				t.Fatalf("set aside in %q", aside)
			}
			if aside != "" && !bytes.Equal(readAll(t, fs, aside), c.aside) {
				t.Errorf("what is set aside is not what was there")
			}
			res, err := Replay(fs, seg1, ReplayOptions{ID: id}, func(Block) error { return nil })
			if err != nil || res.Blocks != 0 || res.Size != res.GoodOffset {
				t.Errorf("what is left: %+v, %v", res, err)
			}
		})
	}
}

// TestRestoreHeader damages one byte of the header after another.
func TestRestoreHeader(t *testing.T) {
	data, ends := threeBlocks(t, true)
	id := string(data[len(magic) : len(magic)+16])
	if ends[0] != usualHeader {
		t.Fatalf("a header has %d bytes, not %d", ends[0], usualHeader)
	}
	for at := range int(ends[0]) {
		for _, mask := range []byte{1, 0x40, 0x80, 0xff} {
			bad := bytes.Clone(data)
			bad[at] ^= mask
			fs := fileWith(t, bad)
			aside, err := RestoreHeader(fs, seg1, id, time.UnixMilli(1_800_000_000_000))
			if err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			fs = fs.CrashClone(memfs.LoseAll)
			if got := readAll(t, fs, aside); !bytes.Equal(got, bad[:ends[0]]) {
				t.Fatalf("byte %d: set aside %q", at, got)
			}
			if got, _, err := contents(t, fs, false, seg1); err != nil || got != prefixes[3] {
				t.Fatalf("byte %d: %q, %v", at, got, err)
			}
		}
	}
	for name, b := range map[string][]byte{"empty": {}, "short": data[:20], "no header": data[ends[0]:]} {
		if _, err := RestoreHeader(fileWith(t, b), seg1, id, time.UnixMilli(1)); err == nil {
			t.Errorf("%s: a header was written", name)
		}
	}
}

func TestSetAside(t *testing.T) {
	fs := fileWith(t, []byte("x"))
	aside, err := SetAside(fs, seg1, time.UnixMilli(42))
	if err != nil || !strings.HasPrefix(aside, TornDir+"/") {
		t.Fatal(aside, err)
	}
	fs = fs.CrashClone(memfs.LoseAll)
	if got := string(readAll(t, fs, aside)); got != "x" {
		t.Errorf("%q is there", got)
	}
	if there, err := vfs.Exists(fs, seg1); err != nil || there {
		t.Errorf("the old name: %v, %v", there, err)
	}
}
