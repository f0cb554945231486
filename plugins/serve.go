package plugins

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/spillwaydb/spillway/plugins/internal/wire"
)

// closeTimeout is how long components that are io.Closers have at the end.
const closeTimeout = 2 * time.Second

// Serve makes the process a plugin that offers the components, until the host
// ends it. It is the last call of main. Started by a person instead of a host,
// it says what the plugin is and how to configure it.
//
// Within a plugin, hclog.Default() and package log reach the host's log with
// their level; what is printed to stdout or stderr arrives there too. A panic
// in a component fails the call, not the plugin. A component that is an
// io.Closer is closed at the end, when no call runs any more; nothing depends
// on that, since a plugin may be killed at any time.
func Serve(components ...Component) {
	os.Exit(serve(components))
}

// Started tells whether a host has started this process as a plugin: what a
// test binary or a program with more than one purpose asks before Serve.
func Started() bool {
	return os.Getenv(wire.Handshake.MagicCookieKey) == wire.Handshake.MagicCookieValue
}

func serve(components []Component) int {
	c, err := newCatalog(components)
	if err != nil {
		fmt.Fprintln(os.Stderr, "this plugin cannot be served:", err)
		return 2
	}
	if !Started() {
		introduce(os.Stdout, c)
		return 0
	}
	// The host ends a plugin when it no longer needs it: a signal to the whole
	// process group, or to all of a service, must not take the sink away from
	// the last save. Caught, not ignored: children get the default back.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	level := hclog.LevelFromString(os.Getenv(wire.LogLevelEnv))
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: level, JSONFormat: true})
	hclog.SetDefault(logger)
	log.SetFlags(0)
	log.SetOutput(logger.StandardWriter(&hclog.StandardLoggerOptions{InferLevels: true}))

	s := newServer(c, logger)
	go func() {
		// The host holds the other end of stdin: it closes with the host, and
		// however that dies.
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.close()
		os.Exit(0)
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.Dispensed: &wire.GRPC{Register: s.register}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(wire.MaxMessage))...)
		},
		Logger: logger.Named("go-plugin").With("pid", os.Getpid()),
	})
	s.close()
	return 0
}

// close closes what can be closed, and waits for that no longer than
// closeTimeout.
func (s *server) close() {
	s.closing.Do(func() {
		s.drain()
		s.mu.Lock()
		var closers []io.Closer
		for _, comp := range s.instances {
			if c, ok := comp.(io.Closer); ok {
				closers = append(closers, c)
			}
		}
		s.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, c := range closers {
				if err := s.guard("close", c.Close); err != nil {
					s.log.Warn("closing a component failed", "error", err)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(closeTimeout):
		}
	})
}

// introduce tells a person what to do with the program.
func introduce(w io.Writer, c catalog) {
	path, sum := "PATH", "sha256:…"
	if exe, err := os.Executable(); err == nil {
		path = exe
		if f, err := os.Open(filepath.Clean(exe)); err == nil {
			if s, err := wire.Checksum(f); err == nil {
				sum = s
			}
			_ = f.Close()
		}
	}
	fmt.Fprintf(w, "This is a plugin for Spillway (protocol %d); Spillway starts it. It offers\n\n", wire.ProtocolVersion)
	for _, f := range c.sorted() {
		fmt.Fprintf(w, "  %-5s  %s\n", wire.KindName(f.kind), f.name)
	}
	fmt.Fprintf(w, "\nIn plugins.hcl:\n\n  plugin %q {\n    command  = [%q]\n    checksum = %q\n  }\n", filepath.Base(path), path, sum)
	f := c.sorted()[0]
	fmt.Fprintf(w, "\nand in the pipeline:\n\n  %s \"plugin\" %q { uses = plugin.%s }\n", wire.KindName(f.kind), f.name, filepath.Base(path))
}
