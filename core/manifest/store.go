package manifest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Store reads and commits the manifest of one data directory. Its methods may be
// called from any goroutine and run one at a time.
type Store struct {
	fs  vfs.FS
	now func() time.Time

	mu    sync.Mutex
	known bool   // last is what is on disk
	last  uint64 // generation of the manifest on disk, 0: none
}

// NewStore returns the store of the data directory that is the root of fs. now
// dates the commits.
func NewStore(fs vfs.FS, now func() time.Time) *Store { return &Store{fs: fs, now: now} }

// maxFile is far more than any manifest has.
const maxFile = 64 << 20

// Read returns the manifest of the data directory that is the root of fs and
// changes nothing, not even what is durable; it is for tools that look. Its
// errors are those of Load.
func Read(fs vfs.FS) (*Manifest, error) {
	data, err := vfs.ReadSmall(fs, FileName, maxFile)
	if errors.Is(err, vfs.ErrTooLarge) {
		err = &CorruptError{Path: FileName, Reason: err.Error()}
	}
	if err != nil {
		return nil, fmt.Errorf("load manifest: %w", err)
	}
	m, err := Decode(FileName, data)
	if err != nil {
		return nil, fmt.Errorf("load manifest: %w", err)
	}
	return m, nil
}

// Load returns the manifest on disk, after making sure that a crash cannot take
// it back: an earlier process, or an earlier Commit, may have renamed it and not
// have synced the directory. The error wraps os.ErrNotExist when there is none,
// and is a *CorruptError when it is damaged.
func (s *Store) Load() (*Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load()
}

func (s *Store) load() (*Manifest, error) {
	s.known = false
	if err := s.fs.SyncDir("."); err != nil {
		return nil, fmt.Errorf("load manifest: sync the data directory: %w", err)
	}
	m, err := Read(s.fs)
	switch {
	case err == nil:
		s.known, s.last = true, m.Generation
	case errors.Is(err, os.ErrNotExist):
		s.known, s.last = true, 0
	}
	return m, err
}

// Commit makes m the manifest, atomically and durably, and sets its Version and
// Generation, CreatedAt when it is zero, and draws a Lineage when it has none.
// Everything m names must be durable before.
//
// An error that does not wrap ErrUnknownOutcome means that the previous manifest
// stands. One that does means that nobody knows: Load, and act on what it says.
func (s *Store) Commit(m *Manifest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		if _, err := s.load(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("commit manifest: the previous one: %w", err)
		}
	}
	m.Version, m.Generation = Version, s.last+1
	if m.CreatedAt.IsZero() {
		m.CreatedAt = s.now().UTC()
	}
	if m.Lineage == "" {
		m.Lineage = NewLineage()
	}
	data, err := Encode(m)
	if err != nil {
		return fmt.Errorf("commit manifest %d: %w", m.Generation, err)
	}
	if err := vfs.WriteFileAtomic(s.fs, FileName, data, 0o600); err != nil {
		s.known = !errors.Is(err, ErrUnknownOutcome)
		return fmt.Errorf("commit manifest %d: %w", m.Generation, err)
	}
	s.last = m.Generation
	return nil
}

// NewLineage draws the name of a data directory's life, unlike any other.
func NewLineage() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// ErrNotCurrent is wrapped by Sweep when the manifest it was given is not the
// one on disk.
var ErrNotCurrent = errors.New("not the manifest on disk")

// checkCurrent makes sure that m is what is on disk, durably. Where no manifest
// was ever committed, one that names nothing is.
func (s *Store) checkCurrent(m *Manifest) error {
	disk, err := s.load()
	if errors.Is(err, os.ErrNotExist) {
		if m.Base == nil && len(m.Segments) == 0 && len(m.Owed) == 0 && len(m.History) == 0 {
			return nil
		}
		return fmt.Errorf("%w: there is none", ErrNotCurrent)
	}
	if err != nil {
		return err
	}
	want, err := Encode(disk)
	if err != nil {
		return err
	}
	if have, err := Encode(m); err != nil || !bytes.Equal(want, have) {
		return fmt.Errorf("%w: that has generation %d, this one has %d", ErrNotCurrent, disk.Generation, m.Generation)
	}
	return nil
}
