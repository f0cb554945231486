package session

import (
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// executePrepared is execute for a command that waits for the network before it is executed.
func (s *Session) executePrepared(cmd *command.Command, args [][]byte, out *resp.Writer) command.Outcome {
	if msg := s.prepare(cmd, args); msg != "" {
		return s.reject(out, msg)
	}
	defer func() { s.ctx.Migration = nil }()
	return s.executeLocked(cmd, args, out)
}

// prepare does what a command waits for in the network, while the session holds no
// lock. It returns why the command must not be executed any more, or "".
func (s *Session) prepare(cmd *command.Command, args [][]byte) string {
	s.ctx.Migration = nil
	if s.holdsBack(cmd, args) || s.lockFor(cmd, args) != nil {
		return "" // it is not executed now
	}
	m := command.Prepare(args, s.rt.Keyspace, s.DB(), s.rt.Clock.Now().UnixMilli(), s.rt.Cluster)
	s.unlock()
	s.release()
	if m != nil {
		m.Send(s.rt.Engine, nil)
		s.ctx.Migration = m
	}
	return s.admit() // a shutdown may have begun
}
