//go:build spillway_faults

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/fsbackends/faultfs"
)

// faults is the --fault-script flag of a test build: a file of rules that make
// the disk under the data directory fail (see package faultfs). The file is read
// again when it changes: its counts start anew, and what hung goes on.
type faults struct{ path string }

// faultsPoll is how often the file is looked at.
const faultsPoll = 20 * time.Millisecond

func (f *faults) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.path, "fault-script", "", "make the data directory's disk fail as this file says (test build)")
}

// wrap puts the faults in front of fs until stop is called.
func (f *faults) wrap(fs vfs.FS, log hclog.Logger) (wrapped vfs.FS, stop func(), err error) {
	if f.path == "" {
		return fs, func() {}, nil
	}
	text, script, err := f.read()
	if err != nil {
		return nil, nil, usageError{err}
	}
	faulty := faultfs.New(fs, script.Inject)
	log.Warn("this is a test build, and the disk will fail as told", "script", f.path)
	ctx, cancel := context.WithCancel(context.Background())
	go f.follow(ctx, faulty, script, text, log)
	return faulty, cancel, nil
}

func (f *faults) read() (string, *faultfs.Script, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return "", nil, fmt.Errorf("reading the fault script: %w", err)
	}
	script, err := faultfs.ParseScript(f.path, string(text))
	return string(text), script, err
}

// follow applies every change of the file until ctx ends.
func (f *faults) follow(ctx context.Context, fs *faultfs.FS, script *faultfs.Script, old string, log hclog.Logger) {
	ticks := time.NewTicker(faultsPoll)
	defer ticks.Stop()
	defer func() { script.Release() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		text, next, err := f.read()
		if text == old {
			continue
		}
		old = text
		if err != nil {
			log.Error("the changed fault script is not used", "error", err)
			continue
		}
		fs.SetInject(next.Inject)
		script.Release()
		script = next
		log.Warn("fault script changed", "rules", next.String())
	}
}
