package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
	"github.com/spillwaydb/spillway/core"
)

// migrateFrom are the flags of `serve` about the server whose data it takes over.
type migrateFrom struct {
	url      string
	trust    trust
	writable bool
}

func (m *migrateFrom) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.url, "migrate-from", "", "redis://[user:password@]host[:port] (rediss:// with TLS): take over the data of that server, and follow it\n"+
		"until `spillway migrate --cutover` or REPLICAOF NO ONE; none: what was taken over is this server's own from now on")
	m.trust.register(f, "migrate-", "")
	f.BoolVar(&m.writable, "migrate-writable", false, "let clients write while the server is followed, at their own risk")
}

// option is what the engine is told, nil for nothing.
func (m *migrateFrom) option(cfg *config.Config) (*core.Follow, error) {
	switch {
	case m.url == "":
		return nil, nil
	case cfg.ReadOnly:
		return nil, usageError{errors.New("--migrate-from does not go with --read-only, which writes nothing")}
	case m.url == "none":
		return &core.Follow{Promote: true}, nil
	}
	source, err := sourceAt(m.url, m.trust)
	if err != nil {
		return nil, err
	}
	for _, l := range cfg.Listen {
		if _, port, err := net.SplitHostPort(l.Address); l.Network == "tcp" && err == nil {
			source.Port, _ = strconv.Atoi(port)
			break
		}
	}
	return &core.Follow{Source: source, Writable: m.writable}, nil
}

// followHint says what to do about a directory that cannot start for the server that
// it follows, or is to follow.
func followHint(err error) error {
	switch {
	case errors.Is(err, core.ErrFollows):
		return fmt.Errorf("%w\nNothing was changed. Start it with --migrate-from redis://… to go on, or with --migrate-from none to cut over to what is there", err)
	case errors.Is(err, core.ErrHasData):
		return fmt.Errorf("%w\nNothing was changed. Migrate into a new or empty directory, or start without --migrate-from", err)
	}
	return err
}
