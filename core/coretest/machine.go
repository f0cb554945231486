package coretest

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// machine is an engine on a disk, without a test around it: what fails is an
// error, so that many can run at once. Its methods are for one goroutine.
type machine struct {
	clock  core.Clock
	change []func(*core.Options)
	db     *core.DB // nil: not open
	sess   *core.Session
}

// options are those of New.
func options(fs vfs.FS, clock core.Clock, change []func(*core.Options)) core.Options {
	o := core.Options{FS: fs, Shards: 2, Fsync: wal.Always, RewritePercentage: -1, Clock: clock, ManualTick: true}
	for _, f := range change {
		f(&o)
	}
	return o
}

// open starts the engine on fs.
func (m *machine) open(fs vfs.FS) error {
	db, err := core.Open(options(fs, m.clock, m.change))
	if err != nil {
		return fmt.Errorf("opening the engine: %w", err)
	}
	m.db, m.sess = db, db.Session()
	return nil
}

// close stops the engine, if it runs.
func (m *machine) close() error {
	if m.db == nil {
		return nil
	}
	db := m.db
	m.db, m.sess = nil, nil
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the engine: %w", err)
	}
	return nil
}

// read returns everything the engine holds, asked for on a connection of its own.
func (m *machine) read() (*model.State, error) { return model.Read(m.db.Session().Do) }

// look is read, and when that was.
func (m *machine) look() (*model.State, int64, error) {
	s, err := m.read()
	return s, m.now(), err
}

// now is the engine's time.
func (m *machine) now() int64 { return m.clock.Now().UnixMilli() }

// patience is how long anything may take in real time before it counts as hung.
const patience = time.Minute

var errHangs = errors.New("a checkpoint does not end")

// wait applies what the checkpoint in flight has finished, until there is none.
func (m *machine) wait() error {
	for start := time.Now(); ; time.Sleep(20 * time.Microsecond) {
		m.db.Tick()
		if inFlight, _ := m.db.Checkpoints(); !inFlight {
			return nil
		}
		if time.Since(start) > patience {
			return errHangs
		}
	}
}

// do runs a command.
func (m *machine) do(args []string) (resp.Value, error) { return m.sess.Do(args...) }
