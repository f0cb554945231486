//go:build linux && (amd64 || arm64) && syscalls

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/sink"
)

// sinkRecord records every set that was ever seen in a sink, and what its files
// held. A set is there from its SET.json on, and may not change from then on. Nor
// may it go but by the sink's retention, once it counts: because the daemon has
// committed it, or because the daemon that made it has ended. Until then it is
// its job's, which removes it if it cannot commit it.
type sinkRecord struct {
	dir  string // of a sink that keeps files: a directory, or a bucket that is one
	keep int    // the retention; 0 is all
	sets map[string]checksums
	firm map[string]bool // those that count
}

// checksums are the digests of a set's files.
type checksums map[string][sha256.Size]byte

func recordSink(dir string, keep int) *sinkRecord {
	return &sinkRecord{dir: dir, keep: keep, sets: make(map[string]checksums), firm: make(map[string]bool)}
}

// look compares the sink with what it has ever held, and takes in what is new.
// committed tells of a generation whether it is the one that the daemon has
// committed. It may be called while a daemon works.
func (p *sinkRecord) look(committed func(generation uint64) bool) error {
	there, err := p.read()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.sets)) {
		now, ok := there[name]
		if !ok {
			if p.firm[name] && !p.pruned(name, there) {
				return fmt.Errorf("%s: the published set %s is gone, and retention (keep = %d) has not taken it; there are %q",
					p.dir, name, p.keep, slices.Sorted(maps.Keys(there)))
			}
			delete(p.sets, name)
			delete(p.firm, name)
			continue
		}
		for file, sum := range p.sets[name] {
			if now[file] != sum {
				return fmt.Errorf("%s: %s of the published set %s has changed", p.dir, file, name)
			}
		}
	}
	for name := range there {
		id, _ := sink.ParseDirName(name)
		p.firm[name] = p.firm[name] || committed(id.Generation)
	}
	maps.Copy(p.sets, there)
	return nil
}

// pruned tells whether there are as many newer sets as retention keeps.
func (p *sinkRecord) pruned(name string, there map[string]checksums) bool {
	newer := 0
	for other := range there {
		if kindOf(other) == kindOf(name) && lineageOf(other) == lineageOf(name) && other > name {
			newer++
		}
	}
	return p.keep > 0 && newer >= p.keep && kindOf(name) != sink.KindSegment
}

// read hashes what every published set has.
func (p *sinkRecord) read() (map[string]checksums, error) {
	files, err := filepath.Glob(filepath.Join(p.dir, "checkpoints", "*", sink.SetFile))
	if err != nil {
		return nil, err
	}
	there := make(map[string]checksums)
	for _, file := range files {
		found, err := sumOf(filepath.Dir(file))
		if _, gone := os.Stat(file); errors.Is(gone, fs.ErrNotExist) {
			continue // it is being removed, SET.json first
		}
		if err != nil {
			return nil, err
		}
		there[filepath.Base(filepath.Dir(file))] = found
	}
	return there, nil
}

// sumOf hashes the files of a directory, those without a name of their own yet
// excepted.
func sumOf(dir string) (checksums, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := make(checksums)
	for _, e := range entries {
		if e.Name() != sink.SetFile && !strings.HasPrefix(e.Name(), "shard-") && !strings.HasPrefix(e.Name(), "log") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		found[e.Name()] = sha256.Sum256(b)
	}
	return found, nil
}

// kindOf tells an archived segment by the name of its directory; everything else
// is a checkpoint.
func kindOf(name string) sink.Kind {
	id, _ := sink.ParseDirName(name)
	return id.Kind
}

// lineageOf is what the name of a set's directory says about its lineage.
func lineageOf(name string) string {
	parts := strings.Split(name, "-")
	if len(parts) < 3 {
		return ""
	}
	return parts[len(parts)-2]
}
