package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// state is what the running daemon tells of a plugin.
type state struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	PID      int       `json:"pid,omitempty"`
	Starts   int       `json:"starts"`
	Failures int       `json:"failures"`
	Error    string    `json:"error,omitempty"`
}

// errPluginsUsage is the reply to arguments that SPILLWAY.PLUGINS does not know.
var errPluginsUsage = errors.New("ERR want SPILLWAY.PLUGINS LIST, or SPILLWAY.PLUGINS LOGS name [count]")

// answer is what SPILLWAY.PLUGINS replies, with one object of JSON an item:
//
//	LIST               the state of every plugin
//	LOGS name [count]  the last lines of a plugin's log, oldest first
func (p *plugged) answer(args []string) ([]string, error) {
	switch sub := strings.ToUpper(args[0]); {
	case sub == "LIST" && len(args) == 1:
		return p.states(), nil
	case sub == "LOGS" && (len(args) == 2 || len(args) == 3):
		n := pluginLines
		if len(args) == 3 {
			var err error
			if n, err = strconv.Atoi(args[2]); err != nil || n < 1 {
				return nil, errors.New("ERR value is not an integer or out of range")
			}
		}
		if _, ok := p.plugins[args[1]]; !ok {
			return nil, fmt.Errorf("ERR there is no plugin '%.64s'", args[1])
		}
		return p.logs.tail(args[1], n), nil
	}
	return nil, errPluginsUsage
}

func (p *plugged) states() (out []string) {
	if p.host == nil {
		return nil
	}
	for _, pl := range p.host.Plugins() {
		s := pl.Status()
		st := state{Name: pl.Name(), State: s.State, Since: s.Since, PID: s.PID, Starts: s.Starts, Failures: s.Failures}
		if s.LastError != nil {
			st.Error = s.LastError.Error()
		}
		b, err := json.Marshal(st)
		if err != nil {
			panic(err) // strings, numbers and a time
		}
		out = append(out, string(b))
	}
	return out
}

// askTimeout bounds a question to the running daemon.
const askTimeout = 10 * time.Second

// askDaemon sends SPILLWAY.PLUGINS to the running daemon.
func askDaemon(ctx context.Context, cfg *config.Config, addr string, args ...any) ([]string, error) {
	return daemonAt{addr: addr}.ask(ctx, cfg, askTimeout, append([]any{"SPILLWAY.PLUGINS"}, args...)...)
}

// unreachable tells whether askDaemon failed because no daemon runs there.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// address is where the daemon is asked: a path is a Unix socket's.
func address(cfg *config.Config, addr string) config.Listener {
	switch {
	case strings.Contains(addr, "/"):
		return config.Listener{Network: "unix", Address: addr}
	case addr != "":
		return config.Listener{Network: "tcp", Address: addr}
	}
	at := cfg.Listen[0]
	if i := slices.IndexFunc(cfg.Listen, plainTCP); i >= 0 {
		at = cfg.Listen[i]
	}
	if i := slices.IndexFunc(cfg.Listen, func(l config.Listener) bool { return l.Network == "unix" }); i >= 0 {
		at = cfg.Listen[i]
	}
	if host, port, err := net.SplitHostPort(at.Address); err == nil && at.Network == "tcp" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			at.Address = net.JoinHostPort("localhost", port)
		}
	}
	return at
}
