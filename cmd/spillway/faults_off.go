//go:build !spillway_faults

package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/core/vfs"
)

// faults stands for the --fault-script flag, which only a test build has (tag
// spillway_faults).
type faults struct{}

func (*faults) register(*cobra.Command) {}

func (*faults) wrap(fs vfs.FS, _ hclog.Logger) (vfs.FS, func(), error) { return fs, func() {}, nil }
