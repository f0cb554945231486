//go:build !linux

package server

import (
	"net"

	"github.com/spillwaydb/spillway/core/command"
)

// Elsewhere than on Linux every connection has a goroutine.

type loop struct{}

type loops struct{}

func (*loops) fill(*command.InfoWriter) {}

func defaultLoops() int { return -1 }

func (s *Server) startLoops() {
	if s.opt.EventLoops > 0 {
		s.log.Warn("event-loops is ignored: this system has none, and connections get a goroutine each")
	}
}

func (s *Server) stopLoops() {}

func (s *Server) take(nc net.Conn) net.Conn { return nc }

func (s *Server) enter(*conn) bool { return false }

func (l *loop) wake(*conn) {}

func (l *loop) call(*conn) {}
