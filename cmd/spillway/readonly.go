package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core/backup"
	"github.com/spillwaydb/spillway/core/manifest"
	"github.com/spillwaydb/spillway/core/vfs"
)

// lookListener is where serve --read-only listens unless a flag says otherwise.
// It is not the configuration's, which the daemon that is looked at may have.
var lookListener = config.Listener{Name: "read-only", Network: "tcp", Address: "127.0.0.1:6390"}

// loadReadOnly is load for serve --read-only. Of the configuration only what it
// takes to read the directory counts, and how the server treats its clients:
// whatever could be shared with a daemon that runs on the same file is left out.
func (o *overrides) loadReadOnly(cmd *cobra.Command) (*config.Config, error) {
	o.plugins = false // a program that is not needed need not be there
	cfg, err := o.read(cmd)
	if err != nil {
		return nil, err
	}
	cfg.ReadOnly = true
	cfg.Listen, cfg.Metrics = []config.Listener{lookListener}, ""
	cfg.Engine.NoLog, cfg.Engine.Save = true, nil
	if err := o.apply(cmd, cfg); err != nil {
		return nil, usageError{err}
	}
	switch {
	case !cfg.Engine.NoLog:
		return nil, usageError{errors.New("--appendonly yes does not go with --read-only, which keeps no log")}
	case len(cfg.Engine.Save) > 0:
		return nil, usageError{errors.New("--save does not go with --read-only, which saves nothing")}
	case len(cfg.Listen) == 0:
		return nil, usageError{errors.New("no listener: nothing could reach the server")}
	}
	cfg.Check.Mirrors, cfg.Archive = nil, config.Archive{}
	cfg.Plugins = slices.DeleteFunc(cfg.Plugins, func(p config.Plugin) bool {
		return !slices.ContainsFunc(cfg.Check.Stages, func(s config.Stage) bool { return s.Plugin != nil && s.Plugin.Plugin == p.Name })
	})
	return cfg, nil
}

// openData opens the data directory. One that is only looked at has to be there.
func openData(cfg *config.Config, log hclog.Logger) (vfs.FS, error) {
	if !cfg.ReadOnly {
		return config.OpenFS(cfg.Data.URL())
	}
	dir := cfg.Data.Root
	if st, err := os.Stat(dir); cfg.Data.Kind != "os" || err != nil || !st.IsDir() {
		return nil, usageError{fmt.Errorf("%s is not a directory: there is nothing to look at", cmp.Or(dir, cfg.Data.Kind))}
	}
	fs, err := config.OpenFS(cfg.Data.URL())
	if err != nil {
		return nil, err
	}
	if err := manifest.RefuseMarked(fs); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	switch is, err := backup.IsDataDir(fs); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", dir, err)
	case !is:
		return nil, usageError{fmt.Errorf("%s is no data directory: it has no %s; `spillway restore --from SOURCE --to DIR` makes one of a backup", dir, manifest.FileName)}
	}
	log.Info("read-only: nothing is written, no sink is used, and writes are refused", "directory", dir)
	return fs, nil
}

// listenOrElse is listen, but lookListener, which nobody has asked for, gives way
// to any other port that is free.
func listenOrElse(ls []config.Listener) ([]net.Listener, error) {
	out, err := listen(ls)
	i := slices.Index(ls, lookListener)
	if i < 0 || !errors.Is(err, syscall.EADDRINUSE) {
		return out, err
	}
	ls = slices.Clone(ls)
	ls[i].Address = "127.0.0.1:0"
	return listen(ls)
}
