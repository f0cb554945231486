package session

import (
	"bufio"
	"bytes"
	"errors"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// Do runs one command to its end, durability included, and returns its reply. A
// blocked command is waited for.
// An error reply is a value like any other (see resp.Value.Err); the error is
// for commands that cannot be run at all. It is the call of embedded programs.
func (s *Session) Do(args ...string) (resp.Value, error) {
	if len(args) == 0 {
		return resp.Value{}, errors.New("session: a command needs a name")
	}
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	var out resp.Writer
	outcome := s.Run(words, &out)
	for outcome == command.Blocked {
		s.Finish(&out)
		if err := s.wait(); err != nil {
			return resp.Value{}, err
		}
		outcome = s.Resume(&out)
	}
	s.Finish(&out)
	if len(out.Buf) == 0 {
		return resp.Value{}, nil // CLIENT REPLY OFF
	}
	return resp.ReadReply(bufio.NewReader(bytes.NewReader(out.Buf)))
}
